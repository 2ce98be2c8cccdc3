"""How a resumed run recognises its labels."""

from __future__ import annotations

import json
import zlib
from typing import Any

from torch import Tensor

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.dataset import CocoDataset

_COLUMNS: dict[str, tuple[str, ...]] = {
    "file names": ("names", "first_name_byte"),
    "sizes of images": ("image_sizes",),
    "groups of images": ("groups",),
    "objects": ("first_object",),
    "classes": ("labels",),
    "boxes": ("boxes",),
    "crowd flags": ("ignore",),
    "stuff": ("stuff",),
    "masks": ("mask_kinds", "first_ring", "first_point", "points", "first_run", "runs"),
    "keypoints": ("first_keypoint", "keypoints"),
}
"""What training reads of a `LabelStore`; ids and the numbers that only an evaluation compares are not among it."""

_MEASURED = (*(column for columns in _COLUMNS.values() for column in columns), "stated_boxes", "areas")
"""What an evaluation reads."""


def fingerprint(dataset: CocoDataset) -> dict[str, Any]:
    """JSON-able facts about everything that training reads of the labels, each under a name for people.

    The pictures are known by `SeenPictures`.
    """
    facts: dict[str, Any] = {"categories": dataset.categories.to_coco(), "images": len(dataset)}
    for name, columns in _COLUMNS.items():
        facts[name] = _checksum(*(getattr(dataset.labels, column) for column in columns))
    if dataset.has_void:
        facts["void"] = True
    if dataset.proposals is not None:
        facts["proposals"] = _checksum(dataset.proposals.first, dataset.proposals.boxes)
    return facts


def measured_fingerprint(val: LabelledImages) -> int:
    """A checksum of everything that an evaluation reads of the labels: only with the same can scores be compared."""
    classes = zlib.crc32(json.dumps(val.categories.to_coco()).encode())
    return _checksum(*(getattr(val.labels, column) for column in _MEASURED), value=classes)


def _checksum(*tensors: Tensor, value: int = 0) -> int:
    """CRC-32 of their bytes, after those of `value`; about a second for a gigabyte."""
    for tensor in tensors:
        value = zlib.crc32(tensor.contiguous().numpy().data, value)
    return value
