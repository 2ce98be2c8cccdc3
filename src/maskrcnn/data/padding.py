"""Images that are smaller than a crop, filled up to its size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch.nn.functional as F

from maskrcnn.structures import Targets
from maskrcnn.structures.masks import ByteArray
from maskrcnn.structures.semantic import IGNORED

GREY = 128


def pad_image(pixels: ByteArray, side: int) -> ByteArray:
    """An (h, w, C) image with grey on the right and below: (side, side, C)."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, side - height), (0, side - width), (0, 0)), constant_values=GREY)


def pad_targets(targets: Targets, side: int) -> Targets:
    """Its objects: where they were, in a frame of `side` x `side` pixels, of which nothing new has a known class."""
    masks, semantic = targets.masks, targets.semantic
    if masks is not None:
        masks = replace(masks, image_size=(side, side))
    if semantic is not None:
        height, width = semantic.shape
        semantic = F.pad(semantic, (0, side - width, 0, side - height), value=IGNORED)
    return replace(targets, masks=masks, semantic=semantic)
