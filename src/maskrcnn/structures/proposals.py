"""Proposals: where the RPN says there may be objects."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.structures.detections import Detections
from maskrcnn.structures.size import Size


@dataclass(frozen=True)
class Proposals:
    """P class-agnostic boxes of one image, best first.

    Attributes:
        boxes: (P, 4) float32 x1, y1, x2, y2 in the `input` frame, inside the image.
        objectness_logits: (P,) before the sigmoid. On a GPU, P is the most there can be, so that no host waits for
            the number that there are; places without a proposal have -inf here, and a box without area.
    """

    boxes: Tensor
    objectness_logits: Tensor

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def without_padding(self) -> Proposals:
        """Those that there are."""
        there = self.objectness_logits > -math.inf
        return Proposals(self.boxes[there], self.objectness_logits[there])

    def as_detections(self, size: Size) -> Detections:
        """Objects of one class, 0, with their objectness as score, in an image of (height, width) `size`."""
        labels = torch.zeros(self.boxes.shape[0], dtype=torch.int64, device=self.boxes.device)
        return Detections(self.boxes, self.objectness_logits.sigmoid(), labels, None, size)
