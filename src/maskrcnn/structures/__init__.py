"""Typed data that travels between the layers; nothing here computes anything heavy.

What a result consists of is plain Python and NumPy. The names that hold tensors are looked up on first use, so that a
result can be used without PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskrcnn.structures.categories import Categories
from maskrcnn.structures.keypoints import KeypointSchema
from maskrcnn.structures.masks import RLE, MaskCrops, Polygons
from maskrcnn.structures.size import Size

if TYPE_CHECKING:
    from maskrcnn.structures.detections import Detections
    from maskrcnn.structures.images import ImageBatch
    from maskrcnn.structures.proposals import Proposals
    from maskrcnn.structures.targets import PackedMasks, Targets

__all__ = [
    "RLE",
    "Categories",
    "Detections",
    "ImageBatch",
    "KeypointSchema",
    "MaskCrops",
    "PackedMasks",
    "Polygons",
    "Proposals",
    "Size",
    "Targets",
]

_OF_TENSORS = {
    "Detections": "maskrcnn.structures.detections",
    "ImageBatch": "maskrcnn.structures.images",
    "PackedMasks": "maskrcnn.structures.targets",
    "Proposals": "maskrcnn.structures.proposals",
    "Targets": "maskrcnn.structures.targets",
}


def __getattr__(name: str) -> Any:
    if name not in _OF_TENSORS:
        raise AttributeError(f"module 'maskrcnn.structures' has no attribute {name!r}")
    value = getattr(import_module(_OF_TENSORS[name]), name)
    globals()[name] = value  # the next look-up finds it without coming here
    return value
