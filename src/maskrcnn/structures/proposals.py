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
        anchors: (P,) int64, which of the image's anchors each has come from; None: from none, they were given.
    """

    boxes: Tensor
    objectness_logits: Tensor
    anchors: Tensor | None = None

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def without_padding(self) -> Proposals:
        """Those that there are."""
        there = self.objectness_logits > -math.inf
        anchors = None if self.anchors is None else self.anchors[there]
        return Proposals(self.boxes[there], self.objectness_logits[there], anchors)

    def boxes_by_anchor(self) -> Tensor:
        """(P, 4), in the order of their anchors, which rounding does not change, unlike that of scores."""
        return self.boxes if self.anchors is None else self.boxes[self.anchors.argsort()]

    def as_detections(self, size: Size) -> Detections:
        """Objects of one class, 0, with their objectness as score, in an image of (height, width) `size`."""
        labels = torch.zeros(self.boxes.shape[0], dtype=torch.int64, device=self.boxes.device)
        return Detections(self.boxes, self.objectness_logits.sigmoid(), labels, None, size)
