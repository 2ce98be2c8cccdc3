"""What goes through a head at once in prediction: a whole batch on a GPU, on the CPU a bounded part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from maskrcnn.kernels.winograd import transforming_once
from maskrcnn.ops.asynchronous import is_asynchronous

Result = TypeVar("Result")

MAX_BYTES = 64 * 2**20
"""On the CPU, so much of RoI features goes through a head at once: memory stays bounded, and each core has enough."""


@dataclass(frozen=True)
class Piece:
    """Some of the boxes of a batch.

    Attributes:
        features: maps (N, C, H, W), finest first, of the images that the boxes lie in.
        boxes: (R_i, 4) of each of these images.
        rows: which of all boxes of the batch they are.
    """

    features: Sequence[Tensor]
    boxes: Sequence[Tensor]
    rows: slice


def pieces_of(features: Sequence[Tensor], boxes: Sequence[Tensor], roi_size: int) -> list[Piece]:
    """All boxes, one after the other: on a GPU in one piece, on the CPU as many of an image as `MAX_BYTES` allow.

    Args:
        features: maps (N, C, H, W), finest first.
        boxes: (R_i, 4) of each image.
        roi_size: S, side of the RoI features.
    """
    if is_asynchronous(features[0]):
        return [Piece(features, boxes, slice(sum(map(len, boxes))))]
    limit = max(1, MAX_BYTES // (features[0].shape[1] * roi_size**2 * features[0].element_size()))
    pieces, first = [], 0
    for i, own in enumerate(boxes):
        maps = [level[i : i + 1] for level in features]
        for part in own.chunk(max(1, -(-len(own) // limit))):
            pieces.append(Piece(maps, [part], slice(first, first + len(part))))
            first += len(part)
    return pieces


def each(pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> list[Result]:
    """What becomes of every piece."""
    with transforming_once() if len(pieces) > 1 else nullcontext():  # for all pieces
        return [work(piece) for piece in pieces]
