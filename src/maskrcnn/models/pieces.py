"""What goes through a head at once in prediction: a whole batch on a GPU, on the CPU a bounded part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from maskrcnn.ops.asynchronous import is_asynchronous
from maskrcnn.ops.boxes import box_area
from maskrcnn.ops.winograd import transforming_once

Result = TypeVar("Result")

MAX_BYTES = 64 * 2**20
"""On the CPU, so much of RoI features goes through a head at once: memory stays bounded, and each core has enough."""


@dataclass(frozen=True)
class Piece:
    """Some of the boxes of a batch.

    Attributes:
        features: maps (N, C, H, W), finest first, of the images that the boxes lie in.
        boxes: (R_i, 4) of each of these images.
        rows: (R,) which of all boxes of the batch they are.
    """

    features: Sequence[Tensor]
    boxes: Sequence[Tensor]
    rows: Tensor


def pieces_of(features: Sequence[Tensor], boxes: Sequence[Tensor], roi_size: int) -> list[Piece]:
    """On the CPU as many boxes of one image as `MAX_BYTES` allow, from small to large, on a GPU all of the batch.

    Boxes of a size are read from the same level of a pyramid: what RoIAlign makes of a single level lies in order
    already.

    Args:
        features: maps (N, C, H, W), finest first.
        boxes: (R_i, 4) of each image.
        roi_size: S, side of the RoI features.
    """
    if is_asynchronous(features[0]):
        return [Piece(features, boxes, torch.arange(sum(map(len, boxes)), device=features[0].device))]
    limit = max(1, MAX_BYTES // (features[0].shape[1] * roi_size**2 * features[0].element_size()))
    pieces, first = [], 0
    for i, own in enumerate(boxes):
        maps = [level[i : i + 1] for level in features]
        by_size = box_area(own).argsort(stable=True).chunk(max(1, -(-len(own) // limit)))
        pieces += [Piece(maps, [own[rows]], first + rows) for rows in by_size]
        first += len(own)
    return pieces


def each(pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> list[Result]:
    """What becomes of every piece."""
    with transforming_once() if len(pieces) > 1 else nullcontext():  # for all pieces
        return [work(piece) for piece in pieces]


def in_order(parts: Sequence[Tensor], pieces: Sequence[Piece]) -> Tensor:
    """(all boxes, ...) of what was found for each piece (R, ...)."""
    whole = torch.cat(list(parts))
    return whole if len(parts) == 1 and is_asynchronous(whole) else whole[torch.cat([p.rows for p in pieces]).argsort()]
