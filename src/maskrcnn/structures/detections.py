"""Detections: what the model found in one image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from maskrcnn.structures.images import Size


@dataclass(frozen=True)
class Detections:
    """D objects of one image in the `original` frame, best score first.

    Attributes:
        boxes: (D, 4) float32 x1, y1, x2, y2, absolute pixels.
        scores: (D,) class probabilities.
        labels: (D,) int64 in 0..K-1.
        mask_probs: (D, M, M) foreground probabilities relative to the box (full-frame bitmaps are made only
            when asked for), or None for a model without mask branch.
        image_size: (height, width) of the image.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    mask_probs: Tensor | None
    image_size: Size

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Tensor | slice) -> Self:
        """The detections picked by a slice, a boolean (D,) tensor or an index tensor."""
        mask_probs = None if self.mask_probs is None else self.mask_probs[index]
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            labels=self.labels[index],
            mask_probs=mask_probs,
        )

    def to(self, device: torch.device | str) -> Self:
        """A copy on `device`."""
        mask_probs = None if self.mask_probs is None else self.mask_probs.to(device)
        return replace(
            self,
            boxes=self.boxes.to(device),
            scores=self.scores.to(device),
            labels=self.labels.to(device),
            mask_probs=mask_probs,
        )
