"""Proposals: where the RPN says there may be objects."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Proposals:
    """P class-agnostic boxes of one image, best first.

    Attributes:
        boxes: (P, 4) float32 x1, y1, x2, y2 in the `input` frame, inside the image.
        objectness_logits: (P,) before the sigmoid.
    """

    boxes: Tensor
    objectness_logits: Tensor

    def __len__(self) -> int:
        return len(self.boxes)
