"""What is not asked for changes nothing: batches as they were before the settings of the day existed.

Digests of whole batches, of pictures that no resizing touches, so that they are the same on every machine.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any

import pytest

from maskrcnn.config import Augmentation, InputConfig
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.data.loader import TrainBatches

DIGESTS = {
    "plain": "9273697944b52e53312fa259209266198849a2749915aafc5854a188ebcdc507",
    "crops": "bac52a300e9d2dc34b873a80dd18e31981d0e66f73a9b9e2500b4aa309350dda",
    "rare": "add07c99fdcd6772fb8c2439203adf1b0d91b4d044b0b766c71a28896f3a83a6",
    "every pixel": "8876ad14224dab542736f44bd4ee7ff8a29740229095a207d18cff05cc3b62ab",
}
"""Recorded before copy-paste and padding were written."""

CROPS = Augmentation(crop_size=7, quarter_turns=True, vertical_flip=0.5)


def digest(batches: list[list[Sample]]) -> str:
    total = hashlib.sha256()
    for sample in (sample for batch in batches for sample in batch):
        targets, masks = sample.targets, sample.targets.masks
        assert masks is not None
        total.update(f"{sample.file_name} {sample.original_size} {masks.image_size}".encode())
        parts = [sample.image, targets.boxes, targets.labels, targets.crowd_boxes]
        parts += [masks.windows, masks.pixels, masks.offsets]
        parts += [part for part in (targets.keypoints, targets.semantic) if part is not None]
        for part in parts:
            total.update(f"{tuple(part.shape)} {part.dtype}".encode() + part.contiguous().numpy().tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("name", DIGESTS)
@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_are_what_they_were(make_coco, read, square: dict[str, Any], name: str, num_workers: int) -> None:
    """Seven images of two groups; two overlapping objects in each, an ignored region in the second."""
    second = square | {"category_id": 9, "bbox": [4, 5, 5, 5], "segmentation": [[4, 5, 9, 5, 9, 10, 4, 10]]}
    annotations = [
        item | {"image_id": number, "iscrowd": int(number == 2 and item is second)}
        for number in range(1, 8)
        for item in (square, second)
        if number != 5 or item is square
    ]
    content = make_coco([item | {"id": i} for i, item in enumerate(annotations)], num_images=7)
    for image in content["images"]:
        image["stain"] = "ab"[image["id"] == 3]
    content["categories"][0]["keypoints"] = ["left", "right"]
    content["annotations"][0] |= {"keypoints": [3, 4, 2, 5, 6, 1]}
    data, sizes = read(content, group_by="stain"), InputConfig(min_size=10, max_size=12)
    dataset = CocoDataset(data, CROPS if name == "crops" else Augmentation(), sizes, semantic=name == "every pixel")
    options = {"balanced": name == "rare", "repeat_threshold": 0.9 * (name == "rare")}
    batches = TrainBatches(dataset, 2, seed=3, num_workers=num_workers, start=1, **options)
    assert digest(list(islice(batches, 8))) == DIGESTS[name]
