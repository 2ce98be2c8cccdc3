from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from maskrcnn.ops import mask_crops
from maskrcnn.ops.mask_crops import CROP_MASKS, crop_masks
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.structures import MaskCrops, PackedMasks

WAYS = pytest.mark.parametrize("way", CROP_MASKS)


def random_case(generator: torch.Generator) -> tuple[PackedMasks, Tensor, Tensor]:
    """Six objects (one without a pixel, one with a single corner pixel) and boxes of all kinds around them."""
    bitmaps = (torch.rand(6, 37, 29, generator=generator) > 0.5).to(torch.uint8)
    bitmaps[2] = 0
    bitmaps[3, :, :20] = 0
    bitmaps[4] = 0
    bitmaps[4, 0, 0] = 1
    corners = torch.rand(24, 2, generator=generator) * 60 - 20
    sides = torch.rand(24, 2, generator=generator) * 40
    sides[:4] *= -1  # reversed
    sides[4:8] /= 20  # below a pixel
    sides[8] = 0
    boxes = torch.cat([corners, corners + sides], dim=1)
    boxes[9] = torch.tensor([0.0, 0, 29, 37])
    boxes[10] = torch.tensor([-0.9, -0.9, 0.1, 0.1])  # between the edge and one pixel outside
    return PackedMasks.from_bitmaps(bitmaps), boxes, torch.arange(24) % 6


def square(size: tuple[int, int], x1: int, y1: int, x2: int, y2: int) -> PackedMasks:
    bitmap = torch.zeros(1, *size, dtype=torch.uint8)
    bitmap[:, y1:y2, x1:x2] = 1
    return PackedMasks.from_bitmaps(bitmap)


@WAYS
def test_the_exact_box_is_full_and_a_half_empty_one_half(way: str) -> None:
    masks = square((20, 20), 4, 4, 12, 12)
    boxes = torch.tensor([[5.0, 5, 11, 11], [4, 5, 20, 11], [14, 14, 18, 18]])
    options = RoIAlignOptions(2, sampling_ratio=0, aligned=True)
    crops = CROP_MASKS[way](masks, boxes, torch.zeros(3, dtype=torch.int64), options)
    # The second box's left bins cover x 4..12: at its outer edge the samples' neighbours reach over to the outside.
    assert crops[0].tolist() == [[1, 1], [1, 1]]
    assert crops[1, :, 1].tolist() == [0, 0] and (crops[1, :, 0] > 0.9).all()
    assert crops[2].tolist() == [[0, 0], [0, 0]]


@WAYS
def test_one_sample_between_pixel_centres_is_bilinear(way: str) -> None:
    """The sample at (4, 3) lies between the centres of pixels 3 and 4, 2 and 3: three quarters of them are mask."""
    bitmap = torch.zeros(1, 6, 8, dtype=torch.uint8)
    bitmap[0, 2, 3] = bitmap[0, 3, 3] = bitmap[0, 3, 4] = 1
    options = RoIAlignOptions(1, sampling_ratio=1, aligned=True)
    box = torch.tensor([[3.0, 2.0, 5.0, 4.0]])
    assert CROP_MASKS[way](PackedMasks.from_bitmaps(bitmap), box, torch.tensor([0]), options).item() == 0.75


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [1, 5, (3, 4)])
def test_ways_agree(
    generator: torch.Generator, size: int | tuple[int, int], sampling_ratio: int, aligned: bool
) -> None:
    masks, boxes, indices = random_case(generator)
    options = RoIAlignOptions(size, 1.0, sampling_ratio, aligned)
    expected, *others = (way(masks, boxes.double(), indices, options) for way in CROP_MASKS.values())
    assert 0.2 < expected.max() <= 1
    for crops in others:
        torch.testing.assert_close(crops, expected, atol=1e-9, rtol=0)


def test_sizes_are_grouped_and_large_groups_are_split(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little memory the answer is the same."""
    masks, boxes, indices = random_case(generator)
    expected = crop_masks(masks, boxes, indices, 4)
    monkeypatch.setattr(mask_crops, "_MAX_PIXELS", 300)
    monkeypatch.setattr(mask_crops, "_SMALL_SIDE", 2)
    torch.testing.assert_close(crop_masks(masks, boxes, indices, 4), expected)


def test_pixels_outside_the_window_do_not_matter(generator: torch.Generator) -> None:
    """The same object in a loose window and in the tightest one."""
    masks, boxes, indices = random_case(generator)
    loose = PackedMasks.from_crops(MaskCrops.from_crops(list(masks.bitmaps().numpy()), [(0, 0, 29, 37)] * 6, (37, 29)))
    torch.testing.assert_close(crop_masks(loose, boxes, indices, 7), crop_masks(masks, boxes, indices, 7))


def test_moving_mask_and_box_together_changes_nothing() -> None:
    small, large = square((20, 20), 4, 5, 12, 11), square((50, 60), 34, 25, 42, 31)
    boxes = torch.tensor([[3.2, 4.7, 13.1, 11.4]])
    moved = boxes + torch.tensor([30.0, 20, 30, 20])
    index = torch.tensor([0])
    torch.testing.assert_close(
        crop_masks(large, moved, index, 14), crop_masks(small, boxes, index, 14), atol=1e-5, rtol=0
    )


def test_no_rois_no_objects_no_pixels() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert crop_masks(square((9, 9), 1, 1, 3, 3), torch.zeros(0, 4), none, 28).shape == (0, 28, 28)
    assert crop_masks(PackedMasks.from_bitmaps(torch.zeros(0, 9, 9)), torch.zeros(0, 4), none, 28).shape == (0, 28, 28)
    empty = PackedMasks.from_bitmaps(torch.zeros(2, 9, 9))
    crops = crop_masks(empty, torch.tensor([[0.0, 0, 5, 5]]), torch.tensor([1]), 3)
    assert crops.shape == (1, 3, 3) and not crops.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_boxes_that_are_no_boxes_give_empty_targets(value: float) -> None:
    boxes = torch.tensor([[value, 1.0, value, 5.0], [1.0, value, 4.0, value]])
    crops = crop_masks(square((9, 9), 1, 1, 8, 8), boxes, torch.tensor([0, 0]), 3)
    assert torch.equal(crops, torch.zeros(2, 3, 3))


def test_targets_are_float32_whatever_the_boxes_are() -> None:
    masks = square((9, 9), 1, 1, 8, 8)
    assert crop_masks(masks, torch.tensor([[1.0, 1, 5, 5]]).double(), torch.tensor([0]), 3).dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu(generator: torch.Generator) -> None:
    masks, boxes, indices = random_case(generator)
    crops = crop_masks(masks.to("cuda"), boxes.cuda(), indices.cuda(), 14)
    torch.testing.assert_close(crops.cpu(), crop_masks(masks, boxes, indices, 14), atol=1e-5, rtol=0)


# --- golden values of detectron2 and torchvision ----------------------------------------------------------------


@pytest.mark.parametrize("size", [14, 28])
def test_golden_crops(shared: Path, size: int) -> None:
    golden = load_file(shared / "golden" / "ops" / "crops_keypoints.safetensors")
    entry = json.loads((shared / "golden" / "ops" / "ops.json").read_text())["files"]["crops_keypoints"]
    height, width = entry["bitmap_size"]
    bits = np.unpackbits(golden["bitmaps_packed"].numpy(), axis=1)[:, : height * width]
    masks = PackedMasks.from_bitmaps(torch.from_numpy(bits.reshape(-1, height, width)))

    soft = crop_masks(masks, golden["boxes"], golden["gt_index"], size, aligned=False)
    torch.testing.assert_close(soft, golden[f"torchvision.from_bitmap.{size}"], atol=1e-5, rtol=0)
    hard = crop_masks(masks, golden["boxes"], golden["gt_index"], size) >= 0.5
    assert (hard != golden[f"detectron2.from_bitmap.{size}"].bool()).sum() <= 1


def test_golden_targets_of_a_training_step(shared: Path) -> None:
    folder = shared / "golden" / "d2_fpn_r50"
    golden = load_file(folder / "golden.safetensors")
    for i in range(2):
        height, width = golden["input_sizes"][i].tolist()
        bits = np.unpackbits(golden[f"train.target.{i}.masks_packed"].numpy(), axis=1)[:, : height * width]
        masks = PackedMasks.from_bitmaps(torch.from_numpy(bits.reshape(-1, height, width)))
        crops = crop_masks(masks, golden[f"mask_crop.{i}.boxes"], golden[f"mask_crop.{i}.gt_index"], 28)
        assert ((crops >= 0.5) != golden[f"mask_crop.{i}.from_bitmap"].bool()).sum() <= 2
