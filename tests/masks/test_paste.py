from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from safetensors.torch import load_file
from torch import Tensor

from maskrcnn.masks.paste import PASTE, RULES, PastedMasks, paste_mask_crop, paste_masks, paste_rles, paste_windows
from maskrcnn.masks.rle import decode_rle

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

WAYS = pytest.mark.parametrize("way", PASTE)
EACH_RULE = pytest.mark.parametrize("rule", RULES)

NAN, INF = float("nan"), float("inf")
WITHOUT_MASK = [
    [NAN, 0.0, 5.0, 5.0],
    [0.0, 0.0, INF, 5.0],
    [-INF, -INF, INF, INF],
    [9.0, 9.0, 3.0, 3.0],  # reversed
    [3.0, 9.0, 9.0, 3.0],  # reversed in y
    [4.0, 4.0, 4.0, 8.0],  # no width
    [500.0, 500.0, 510.0, 510.0],  # outside
    [-60.0, 2.0, -40.0, 9.0],
    [1e30, 1e30, 2e30, 2e30],
]


def random_boxes(generator: torch.Generator, count: int, size: tuple[int, int]) -> Tensor:
    """Inside, partly outside, larger than the image, below a pixel."""
    height, width = size
    centres = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
    sides = torch.rand(count, 2, generator=generator) ** 2 * 1.5 * torch.tensor([width, height]) + 0.1
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=1)


@WAYS
def test_a_full_mask_covers_the_pixels_whose_centre_is_in_the_box(way: str) -> None:
    box = torch.tensor([[2.0, 1.0, 6.0, 4.4]])
    bitmap = PASTE[way](torch.ones(1, 28, 28), box, (6, 8), 0.5, "exact").bitmaps()[0]
    expected = torch.zeros(6, 8, dtype=torch.uint8)
    expected[1:4, 2:6] = 1
    assert torch.equal(bitmap, expected)


@WAYS
def test_mask_pixels_are_image_pixels_when_the_box_has_their_number(way: str, generator: torch.Generator) -> None:
    """An M x M mask in an M x M box on whole pixels is copied."""
    probs = torch.rand(1, 5, 5, generator=generator)
    box = torch.tensor([[3.0, 2.0, 8.0, 7.0]])
    bitmap = PASTE[way](probs, box, (10, 12), 0.5, "exact").bitmaps()[0]
    assert torch.equal(bitmap[2:7, 3:8], (probs[0] >= 0.5).to(torch.uint8))
    assert bitmap.sum() == (probs >= 0.5).sum()


@WAYS
def test_between_mask_pixels_is_bilinear(way: str) -> None:
    """Mask row (0, 1) over four pixels: values 0, 0.25, 0.75, and 0.75 on the way to the zeros outside."""
    probs = torch.tensor([[[0.0, 1.0]]]).expand(1, 2, 2)
    box = torch.tensor([[0.0, 0.0, 4.0, 2.0]])
    for threshold, expected in [(0.2, [0, 1, 1, 1]), (0.3, [0, 0, 1, 1]), (0.8, [0, 0, 0, 0])]:
        assert PASTE[way](probs, box, (2, 4), threshold, "exact").bitmaps()[0, 0].tolist() == expected


@WAYS
def test_the_threshold_is_met_by_equality_in_one_rule_only(way: str) -> None:
    half = torch.full((1, 4, 4), 0.5)
    box = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    assert PASTE[way](half, box, (8, 8), 0.5, "exact").bitmaps()[0, 2:6, 2:6].all()
    assert not PASTE[way](half, box, (8, 8), 0.5, "torchvision").bitmaps().any()


@EACH_RULE
@pytest.mark.parametrize("side", [14, 28])
@pytest.mark.parametrize("threshold", [0.5, 0.1])
def test_ways_agree(generator: torch.Generator, rule: str, side: int, threshold: float) -> None:
    size = (40, 60)
    boxes = torch.cat([random_boxes(generator, 30, size), torch.tensor(WITHOUT_MASK)])
    probs = torch.rand(len(boxes), side, side, generator=generator)
    expected, *others = (way(probs, boxes, size, threshold, rule).bitmaps() for way in PASTE.values())
    assert expected.sum() > 1000
    for bitmaps in others:
        assert (bitmaps != expected).sum() <= 3  # float32 against float64 at the threshold


@WAYS
@EACH_RULE
def test_hostile_boxes_have_no_mask(way: str, rule: str) -> None:
    boxes = torch.tensor(WITHOUT_MASK)
    crops = PASTE[way](torch.ones(len(boxes), 28, 28), boxes, (30, 40), 0.5, rule)
    assert not crops.bitmaps().any() and crops.pixels.numel() == 0


@EACH_RULE
def test_a_huge_box_sees_the_middle_of_its_mask_and_stays_in_the_image(rule: str) -> None:
    probs = torch.zeros(1, 4, 4)
    probs[:, 1:3, 1:3] = 1
    crops = paste_mask_crop(probs, torch.tensor([[-1e9, -1e9, 1e9, 1e9]]), (30, 40), rule=rule)
    assert crops.windows.tolist() == [[0, 0, 40, 30]] and crops.pixels.all()


@WAYS
@EACH_RULE
def test_no_detections(way: str, rule: str) -> None:
    crops = PASTE[way](torch.zeros(0, 28, 28), torch.zeros(0, 4), (30, 40), 0.5, rule)
    assert len(crops) == 0 and crops.image_size == (30, 40)


def test_run_lengths_and_windows_say_the_same(generator: torch.Generator) -> None:
    size = (40, 60)
    boxes, probs = random_boxes(generator, 12, size), torch.rand(12, 28, 28, generator=generator)
    frames = paste_mask_crop(probs, boxes, size).bitmaps().numpy()
    for frame, rle, (crop, (x1, y1, x2, y2)) in zip(
        frames, paste_rles(probs, boxes, size), paste_windows(probs, boxes, size), strict=True
    ):
        np.testing.assert_array_equal(decode_rle(rle), frame)
        np.testing.assert_array_equal(crop, frame[y1:y2, x1:x2])


@EACH_RULE
def test_masks_pasted_when_asked_for_are_those_pasted_at_once(generator: torch.Generator, rule: str) -> None:
    size = (40, 60)
    boxes = torch.cat([random_boxes(generator, 12, size), torch.tensor(WITHOUT_MASK)])
    probs = torch.rand(len(boxes), 28, 28, generator=generator)
    expected = paste_mask_crop(probs, boxes, size, 0.4, rule)
    masks = PastedMasks(probs, boxes, size, 0.4, rule)
    assert len(masks) == len(expected) and torch.equal(masks.windows, expected.windows)
    for index in reversed(range(len(masks))):
        assert masks.crop(index).dtype == torch.uint8 and torch.equal(masks.crop(index), expected.crop(index))


def test_memory_is_what_the_boxes_cover() -> None:
    """A thousand objects of 40 x 40 pixels on 12 megapixels."""
    start = torch.arange(1000.0)[:, None] * torch.tensor([[3.9, 2.9]])
    crops = paste_mask_crop(torch.ones(1000, 28, 28), torch.cat([start, start + 40], dim=1), (3000, 4000))
    assert 1000 * 38 * 38 < crops.pixels.numel() < 1000 * 44 * 44


def test_inputs_with_gradients_and_half_precision(generator: torch.Generator) -> None:
    boxes = random_boxes(generator, 3, (20, 30)).requires_grad_()
    probs = torch.rand(3, 14, 14, generator=generator)
    expected = paste_masks(probs.half(), boxes, (20, 30))
    assert torch.equal(paste_mask_crop(probs.half().requires_grad_(), boxes, (20, 30)).bitmaps().bool(), expected)


# --- golden values of detectron2 and torchvision ----------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("side", [14, 28])
@pytest.mark.parametrize(("library", "rule"), [("detectron2", "exact"), ("torchvision", "torchvision")])
def test_golden_paste(shared: Path, way: str, side: int, library: str, rule: str) -> None:
    golden = load_file(shared / "golden" / "ops" / "paste.safetensors")
    entry = json.loads((shared / "golden" / "ops" / "ops.json").read_text())["files"]["paste"]
    height, width = entry["image_size"]
    bits = np.unpackbits(golden[f"{library}.{side}.packed"].numpy(), axis=1)[:, : height * width]
    pasted = PASTE[way](golden[f"masks.{side}"], golden["boxes"], (height, width), 0.5, rule).bitmaps().numpy()
    assert (pasted != bits.reshape(-1, height, width)).sum() <= 2


@pytest.mark.parametrize(
    "case",
    [
        "d2_fpn_r50",
        "d2_c4_r50",
        "d2_dc5_r50",
        "d2_class_agnostic",
        "d2_fpn_gn",
        "tv_maskrcnn_fpn",
        "tv_maskrcnn_fpn_v2",
    ],
)
def test_golden_masks_of_whole_models(shared: Path, case: str) -> None:
    golden = load_file(shared / "golden" / case / "golden.safetensors")
    rles = json.loads((shared / "golden" / case / "golden.json").read_text())["masks_rle"]
    rule = "exact" if case.startswith("d2") else "torchvision"
    for i, image_rles in enumerate(rles):
        probs, boxes = golden[f"detections.{i}.mask_probs"], golden[f"detections.{i}.boxes_original"]
        size = tuple(golden["original_sizes"][i].tolist())
        for rle, expected in zip(paste_rles(probs, boxes, size, 0.5, rule), image_rles, strict=True):
            wrong = decode_rle(rle) != coco_mask.decode([expected])[..., 0]
            assert wrong.sum() <= 2
