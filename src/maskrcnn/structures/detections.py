"""Detections: what the model found in one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from maskrcnn.structures.size import Size


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
        keypoints: (D, P, 3) x, y, score, or None for a model without keypoint branch.
        semantic: (H, W) uint8 label map of the whole image (`structures.semantic`), or None for a model that tells
            nothing about every pixel.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    mask_probs: Tensor | None
    image_size: Size
    keypoints: Tensor | None = None
    semantic: Tensor | None = None

    def __len__(self) -> int:
        return self.scores.shape[0]

    def __getitem__(self, index: Tensor | slice) -> Self:
        """The detections picked by a slice, a boolean (D,) tensor or an index tensor."""
        return self._changed(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> Self:
        """A copy on `device`."""
        semantic = None if self.semantic is None else self.semantic.to(device)
        return replace(self._changed(lambda tensor: tensor.to(device)), semantic=semantic)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with every tensor that has a row per object changed."""
        rows = {name: getattr(self, name) for name in ("boxes", "scores", "labels", "mask_probs", "keypoints")}
        changed: dict[str, Any] = {name: change(tensor) for name, tensor in rows.items() if tensor is not None}
        return replace(self, **changed)
