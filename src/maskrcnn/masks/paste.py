"""Paste: from an m x m mask relative to its box to pixels of the image (Mask R-CNN section 3.1, "Inference").

Bilinear resampling is separable, so the mask of a box is (row weights) x (m x m probabilities) x (column weights), made
only for the pixels that the box reaches: a window. Two rules say which place of the mask a pixel sees, see `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.masks.rle import Window
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.structures import RLE, MaskCrops, Size
from maskrcnn.structures.masks import ByteArray
from maskrcnn.ways import Ways

Rule = Literal["exact", "torchvision"]


# --- the rules along one axis -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """Where the pixels of D boxes look into their masks, along one axis.

    Pixel i sees mask position (i + 0.5 - origin) * scale - shift, in mask pixels counted from the first one's centre.

    Attributes:
        spans: per box, the pixels the mask reaches, half open, inside the image.
        origin: per box, pixels.
        scale: per box, mask pixels per pixel.
        shift: the same for all.
    """

    spans: list[tuple[int, int]]
    origin: list[float]
    scale: list[float]
    shift: float

    def weights(self, d: int, side: int) -> Tensor:
        """(pixels, M) bilinear weights of box d; beyond the mask there are zeros.

        By numpy, whose calls cost a quarter of torch's: most objects are small.
        """
        pixel = np.arange(*self.spans[d], dtype=np.float64)
        position = (pixel + (0.5 - self.origin[d])) * self.scale[d] - self.shift
        distance = np.abs(position[:, None] - np.arange(side))
        return torch.from_numpy(np.maximum(1 - distance, 0).astype(np.float32))


def _exact_grid(low: Tensor, high: Tensor, side: int, limit: int) -> _Grid:
    """The mask covers exactly its box; the image is sampled at pixel centres."""
    low, high = low.double(), high.double()
    reach = 0.5 * (high - low) / side + 0.5  # up to half a mask pixel beyond the box, seen from pixel centres
    spans = _spans((low - reach).floor() + 1, (high + reach).ceil() - 1, limit)
    return _Grid(spans, low.tolist(), (side / (high - low)).tolist(), 0.5)


def _torchvision_grid(low: Tensor, high: Tensor, side: int, limit: int) -> _Grid:
    """The mask gets a border of zeros, its box grows with it and is cut to whole numbers; both ends are pixels."""
    centre, half = (high + low) * 0.5, (high - low) * 0.5 * ((side + 2) / side)
    first, last = (centre - half).trunc().double(), (centre + half).trunc().double()
    # Shift 1.5: the border moves the mask's first pixel to position 1.
    return _Grid(_spans(first, last + 1, limit), first.tolist(), ((side + 2) / (last - first + 1)).tolist(), 1.5)


def _spans(start: Tensor, stop: Tensor, limit: int) -> list[tuple[int, int]]:
    first, end = (edge.clamp(0, limit).to(torch.int64).tolist() for edge in (start, stop))
    return list(zip(first, end, strict=True))


@dataclass(frozen=True)
class _PasteRule:
    grid: Callable[[Tensor, Tensor, int, int], _Grid]
    is_mask: Callable[[Tensor, float], Tensor]


RULES: dict[Rule, _PasteRule] = {
    "exact": _PasteRule(_exact_grid, torch.ge),
    "torchvision": _PasteRule(_torchvision_grid, torch.gt),
}


# --- references -------------------------------------------------------------------------------------------------


def paste_masks(mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5, rule: Rule = "exact") -> Tensor:
    """(D, H, W) bool full-frame masks by the definition of the rule: D x H x W bytes, for tests and small images."""
    frames = torch.zeros((len(boxes), *size), dtype=torch.bool)
    boxes, mask_probs = boxes.detach().float().cpu(), mask_probs.detach().double().cpu()
    for d in _is_usable(boxes).nonzero()[:, 0].tolist():
        frames[d] = _REFERENCES[rule](mask_probs[d], boxes[d], size, threshold)
    return frames


def _exact_reference(probs: Tensor, box: Tensor, size: Size, threshold: float) -> Tensor:
    height, width = size
    x1, y1, x2, y2 = box.double()
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - x1) / (x2 - x1)
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - y1) / (y2 - y1)
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)
    grid = grid * 2 - 1  # grid_sample counts from -1 to 1 across the mask
    return F.grid_sample(probs[None, None], grid[None], align_corners=False)[0, 0] >= threshold


def _torchvision_reference(probs: Tensor, box: Tensor, size: Size, threshold: float) -> Tensor:
    height, width = size
    half = (box[2:] - box[:2]) * 0.5 * ((len(probs) + 2) / len(probs))
    centre = (box[2:] + box[:2]) * 0.5
    x1, y1 = (centre - half).to(torch.int64).tolist()
    x2, y2 = ((centre + half).to(torch.int64) + 1).tolist()
    resized = F.interpolate(F.pad(probs, (1, 1, 1, 1))[None, None], (y2 - y1, x2 - x1), mode="bilinear")[0, 0]
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    frame = torch.zeros(size, dtype=torch.bool)
    if left < right and top < bottom:
        frame[top:bottom, left:right] = resized[top - y1 : bottom - y1, left - x1 : right - x1] > threshold
    return frame


_REFERENCES: dict[Rule, Callable[[Tensor, Tensor, Size, float], Tensor]] = {
    "exact": _exact_reference,
    "torchvision": _torchvision_reference,
}


def paste_mask_crop_reference(mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float, rule: Rule) -> MaskCrops:
    """Full frames, then cut to their windows."""
    return MaskCrops.from_bitmaps(paste_masks(mask_probs, boxes, size, threshold, rule))


# --- window by window -------------------------------------------------------------------------------------------


class PastedMasks:
    """The masks of D detections in their image, each pasted when it is asked for: memory for one window at a time.

    Arguments as `paste_mask_crop`.

    Attributes:
        windows: (D, 4) int64 x1, y1, x2, y2: whole pixels, half open, inside the image; zeros where there is no mask.
    """

    def __init__(
        self, mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5, rule: Rule = "exact"
    ) -> None:
        self._probs = mask_probs.detach().float().cpu()
        self._rule, self._threshold = RULES[rule], threshold
        boxes, side = boxes.detach().float().cpu(), self._probs.shape[-1]
        usable = _is_usable(boxes)
        x1, y1, x2, y2 = torch.where(usable[:, None], boxes, boxes.new_tensor([0, 0, 1, 1])).unbind(1)
        self._x, self._y = self._rule.grid(x1, x2, side, size[1]), self._rule.grid(y1, y2, side, size[0])
        self.windows = _windows(self._x, self._y, usable)

    def __len__(self) -> int:
        return len(self.windows)

    def crop(self, index: int) -> Tensor:
        """(h, w) uint8 of 0 and 1: the mask of one detection inside its window."""
        if not self.windows[index].any():
            return torch.zeros((0, 0), dtype=torch.uint8)
        side = self._probs.shape[-1]
        values = self._y.weights(index, side) @ self._probs[index] @ self._x.weights(index, side).T
        return self._rule.is_mask(values, self._threshold).view(torch.uint8)


def _windows(x: _Grid, y: _Grid, usable: Tensor) -> Tensor:
    """(D, 4) where the masks lie; zeros for boxes that are not usable or reach no pixel."""
    spans = [(left, top, right, bottom) for (left, right), (top, bottom) in zip(x.spans, y.spans, strict=True)]
    windows = torch.tensor(spans, dtype=torch.int64).reshape(-1, 4)
    windows[~usable | (windows[:, :2] >= windows[:, 2:]).any(dim=1)] = 0
    return windows


def paste_windows(
    mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5, rule: Rule = "exact"
) -> Iterator[tuple[ByteArray, Window]]:
    """`PastedMasks` one after the other: (h, w) uint8 of 0 and 1, and its window in the image."""
    masks = PastedMasks(mask_probs, boxes, size, threshold, rule)
    for index, (x1, y1, x2, y2) in enumerate(masks.windows.tolist()):
        yield masks.crop(index).numpy(), (x1, y1, x2, y2)


def paste_mask_crop_windows(mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float, rule: Rule) -> MaskCrops:
    """The windows of `paste_windows`, packed."""
    pasted = list(paste_windows(mask_probs, boxes, size, threshold, rule))
    return MaskCrops.from_crops([crop for crop, _ in pasted], [window for _, window in pasted], size)


def _is_usable(boxes: Tensor) -> Tensor:
    """(D,) False for boxes with nan or infinity, and for empty and reversed ones: they have no mask."""
    return boxes.isfinite().all(dim=1) & (boxes[:, :2] < boxes[:, 2:]).all(dim=1)


PASTE: Ways[Callable[[Tensor, Tensor, Size, float, Rule], MaskCrops]] = Ways(
    reference=paste_mask_crop_reference, windows=paste_mask_crop_windows
)


def paste_mask_crop(
    mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5, rule: Rule = "exact"
) -> MaskCrops:
    """The masks of D detections in the image, each inside its own window.

    Args:
        mask_probs: (D, M, M) foreground probabilities relative to the box.
        boxes: (D, 4) x1, y1, x2, y2 in the image's frame. A box that is empty, reversed, outside the image or not
            finite gives an empty window.
        size: (height, width) of the image.
        threshold: least probability of a mask pixel, above 0 (rule "torchvision": it must be exceeded).
        rule: "exact": the mask covers exactly its box (detectron2's way). "torchvision": its grown and truncated box.
    """
    return PASTE.choose("windows")(mask_probs, boxes, size, threshold, rule)


def paste_rles(
    mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5, rule: Rule = "exact"
) -> list[RLE]:
    """The same as run lengths: memory for one window at a time, whatever the boxes are."""
    pasted = paste_windows(mask_probs, boxes, size, threshold, rule)
    return [encode_rle_crop(crop, window, size) for crop, window in pasted]
