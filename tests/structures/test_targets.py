from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.multiprocessing
from torch import Tensor

from maskrcnn.structures import MaskCrops, PackedMasks, Targets


def masks() -> MaskCrops:
    """An object of 2 x 3 pixels and one without a pixel in a 4 x 6 frame."""
    return MaskCrops.from_crops(
        [np.array([[1, 0, 1], [0, 1, 1]]), np.zeros((0, 0))], [(1, 1, 4, 3), (0, 0, 0, 0)], (4, 6)
    )


def test_packed_masks_are_the_same_masks_in_the_same_memory() -> None:
    crops = masks()
    packed = PackedMasks.from_crops(crops)
    assert len(packed) == 2 and packed.image_size == (4, 6)
    assert packed.pixels.dtype == torch.uint8 and packed.windows.dtype == packed.offsets.dtype == torch.int64
    assert np.shares_memory(packed.pixels.numpy(), crops.pixels)
    assert np.array_equal(packed.bitmaps().numpy(), crops.bitmaps())
    assert np.shares_memory(packed.crops().pixels, crops.pixels)


def test_packed_from_bitmaps() -> None:
    bitmaps = torch.zeros(2, 4, 6, dtype=torch.uint8)
    bitmaps[0, 1:3, 2:5] = 1
    packed = PackedMasks.from_bitmaps(bitmaps)
    assert packed.windows.tolist() == [[2, 1, 5, 3], [0, 0, 0, 0]] and torch.equal(packed.bitmaps(), bitmaps)


def test_packed_masks_move() -> None:
    packed = PackedMasks.from_crops(masks()).to("meta")
    parts = (packed.windows, packed.pixels, packed.offsets)
    assert {part.device.type for part in parts} == {"meta"} and packed.image_size == (4, 6)


def test_packed_masks_reach_another_process_as_handles() -> None:
    """The worker writes into the pixels, and they change here: nothing was copied on the way."""
    packed = PackedMasks.from_crops(masks())
    worker = torch.multiprocessing.get_context("spawn").Process(target=invert, args=(packed.pixels,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    assert packed.bitmaps()[0, 1:3, 1:4].tolist() == [[0, 1, 0], [1, 0, 0]]


def invert(pixels: Tensor) -> None:
    pixels.copy_(1 - pixels)


def test_targets_move_with_their_keypoints() -> None:
    targets = Targets(torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64), keypoints=torch.zeros(1, 17, 3))
    moved = targets.to("meta").keypoints
    assert moved is not None and moved.device.type == "meta"


def test_targets_have_keypoints_for_each_object() -> None:
    with pytest.raises(ValueError, match="keypoints must be"):
        Targets(torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64), keypoints=torch.zeros(2, 17, 3))
