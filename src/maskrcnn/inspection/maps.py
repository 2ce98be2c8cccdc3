"""Numbers as pictures: feature maps and masks in a palette from dark to light."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.inline import inline_palette_png

MAX_SIDE = 160
"""Larger maps are shrunk, so that the page stays light."""

_BRIGHT = 0.995
"""This share of the values lies below the palette's last colour: a few outliers would leave the rest in the dark."""


def map_picture(values: Tensor, low: float | None = None, high: float | None = None) -> str:
    """A map (h, w) as the address of a picture.

    Args:
        values: any numbers.
        low: shown as the darkest colour; None: the smallest value.
        high: shown as the lightest; None: nearly the largest value.
    """
    values = _shrunk(values.detach().float().cpu().nan_to_num())
    low = float(values.min()) if low is None else low
    high = float(values.quantile(_BRIGHT)) if high is None else high
    scaled = (values - low) / max(high - low, 1e-12)
    return inline_palette_png((scaled.clamp(0, 1) * 255).round().to(torch.uint8).numpy(), palette())


def telling_channels(features: Tensor, count: int) -> list[int]:
    """The channels of (C, h, w) whose values differ most over the map."""
    spread = features.flatten(1).std(dim=1, correction=0)
    return spread.topk(min(count, len(spread))).indices.tolist()


def palette() -> ByteArray:
    """(256, 3) RGB, from black over red to pale yellow, evenly lighter."""
    import cv2

    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1])


def _shrunk(values: Tensor) -> Tensor:
    factor = max(values.shape) / MAX_SIDE
    if factor <= 1:
        return values
    size = [max(round(side / factor), 1) for side in values.shape]
    return F.interpolate(values[None, None], size, mode="area")[0, 0]
