"""What goes through a head at once in prediction: with fixed sizes a whole batch, otherwise a bounded part of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from maskrcnn.ops.fixed_sizes import has_fixed_sizes

MAX_BYTES = 64 * 2**20
"""The most of RoI features that goes through a head at once on the CPU: bounded memory, and enough for each core."""


@dataclass(frozen=True)
class Chunk:
    """Some of the boxes of a batch.

    Attributes:
        features: maps (N, C, H, W), finest first, of the images that the boxes lie in.
        boxes: (R_i, 4) of each of these images.
        rows: which of all boxes of the batch they are.
    """

    features: Sequence[Tensor]
    boxes: Sequence[Tensor]
    rows: slice


def chunks_of(features: Sequence[Tensor], boxes: Sequence[Tensor], roi_size: int | tuple[int, int]) -> list[Chunk]:
    """All boxes, one after the other: with fixed sizes in one chunk, else as many of an image as `MAX_BYTES` allow.

    Args:
        features: maps (N, C, H, W), finest first.
        boxes: (R_i, 4) of each image.
        roi_size: S, side of the RoI features, or their height and width.
    """
    if has_fixed_sizes(features[0]):
        return [Chunk(features, boxes, slice(sum(own.shape[0] for own in boxes)))]
    cells = roi_size**2 if isinstance(roi_size, int) else math.prod(roi_size)
    limit = max(1, MAX_BYTES // (features[0].shape[1] * cells * features[0].element_size()))
    chunks, first = [], 0
    for i, own in enumerate(boxes):
        maps = [level[i : i + 1] for level in features]
        for part in own.chunk(max(1, -(-own.shape[0] // limit))):
            chunks.append(Chunk(maps, [part], slice(first, first + part.shape[0])))
            first += part.shape[0]
    return chunks
