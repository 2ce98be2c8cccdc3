"""Numbers of any kind as bytes, by one rule for all parts of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.pixels import stretch_limits
from maskrcnn.structures.masks import ByteArray

_MOST = 1 << 22
"""Values that the percentiles are taken from."""


@dataclass(frozen=True)
class ToBytes:
    """Bytes stay as they are; of other numbers `low` becomes 0 and `high` 255.

    Attributes:
        low: the lower of the `stretch_limits` of a sample.
        high: the higher one.
    """

    low: float = 0.0
    high: float = 255.0

    @classmethod
    def of(cls, sample: npt.NDArray[Any]) -> ToBytes:
        """The rule for an image, or for one of which `sample` (h, w) or (h, w, C) is a part."""
        if sample.dtype == np.uint8:
            return cls()
        if sample.dtype == bool:
            return cls(0, 1)
        step = max(int(np.sqrt(sample.size / _MOST)), 1)
        values = np.asarray(sample[::step, ::step], np.float64)
        values = values[np.isfinite(values)]
        low, high = stretch_limits(values)
        return cls(float(low), float(high))

    def __call__(self, values: npt.NDArray[Any]) -> ByteArray:
        """(h, w, 3) uint8 of (h, w) or (h, w, C): grey in all three, transparency laid over white."""
        values = values if values.ndim == 3 else values[:, :, None]
        if values.dtype != np.uint8:
            if self.low == self.high:
                values = np.zeros(values.shape, np.uint8)
            else:
                numbers = np.nan_to_num(values.astype(np.float64), nan=self.low, posinf=self.low, neginf=self.low)
                scaled = (numbers - self.low) * (255.0 / (self.high - self.low))
                values = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
        if values.shape[2] == 4:
            alpha = values[:, :, 3:].astype(np.float32) / 255
            values = np.rint(values[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))
