"""Typed data that travels between the layers; nothing here computes anything heavy."""

from maskrcnn.structures.categories import Categories
from maskrcnn.structures.detections import Detections
from maskrcnn.structures.images import ImageBatch, Size
from maskrcnn.structures.keypoints import KeypointSchema
from maskrcnn.structures.masks import RLE, MaskCrops, Polygons
from maskrcnn.structures.proposals import Proposals
from maskrcnn.structures.targets import Targets

__all__ = [
    "RLE",
    "Categories",
    "Detections",
    "ImageBatch",
    "KeypointSchema",
    "MaskCrops",
    "Polygons",
    "Proposals",
    "Size",
    "Targets",
]
