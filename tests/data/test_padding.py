from __future__ import annotations

from typing import Any

import numpy as np
import torch

from maskrcnn.config import Augmentation, InputConfig
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.data.padding import pad_image, pad_targets
from maskrcnn.structures import PackedMasks, Targets


def test_an_image_is_filled_up_on_the_right_and_below() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    padded = pad_image(pixels, 4)
    assert padded.shape == (4, 4, 3) and padded.dtype == np.uint8
    assert (padded[:2, :3] == pixels).all() and (padded[2:] == 128).all() and (padded[:, 3:] == 128).all()
    assert pad_image(pixels[:, :2], 2).tolist() == pixels[:, :2].tolist()


def test_objects_stay_and_nothing_is_known_of_what_is_added() -> None:
    bitmap = torch.tensor([[[0, 1, 1], [0, 1, 1]]], dtype=torch.uint8)
    masks = PackedMasks.from_bitmaps(bitmap)
    semantic = torch.tensor([[1, 0, 0], [1, 0, 0]], dtype=torch.uint8)
    targets = Targets(masks.windows.float(), torch.tensor([0]), masks, torch.ones(1, 4), semantic=semantic)
    padded = pad_targets(targets, 4)
    assert padded.masks is not None and padded.masks.image_size == (4, 4) and padded.semantic is not None
    assert torch.equal(padded.masks.bitmaps()[:, :2, :3], bitmap) and int(padded.masks.bitmaps().sum()) == 4
    assert torch.equal(padded.boxes, targets.boxes) and torch.equal(padded.crowd_boxes, targets.crowd_boxes)
    expected = [[1, 0, 0, 255], [1, 0, 0, 255], [255] * 4, [255] * 4]
    assert padded.semantic.tolist() == expected and padded.semantic.dtype == torch.uint8


def test_large_scale_jitter_gives_images_of_one_size(make_coco, read, square: dict[str, Any]) -> None:
    """From a tenth to twice its size: of a small one all is there, of a large one a part."""
    changes = Augmentation(scale_range=(0.1, 2.0), crop_size=40, pad_crops=True)
    dataset = CocoDataset(read(make_coco([square])), changes, InputConfig(min_size=40, max_size=40), semantic=True)
    shares = []
    for seed in range(60):
        sample = dataset.sample(0, np.random.default_rng(seed))
        assert sample.image.shape == (3, 40, 40) and sample.targets.masks is not None
        assert sample.targets.masks.image_size == (40, 40) and sample.targets.semantic is not None
        known = sample.targets.semantic != 255
        assert (sample.image[:, ~known] == 128).all()
        shares.append(float(known.float().mean()))
    assert min(shares) < 0.03 and max(shares) == 1.0
