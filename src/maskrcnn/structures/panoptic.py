"""PanopticMap: one answer for every pixel (Kirillov et al. 2019): to which object it belongs, or to which stuff."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Segment:
    """Pixels that belong together: an object, or all of a class of stuff.

    Attributes:
        number: what stands in the map, from 1.
        label: of its class, 0..K-1; K for background, where that is known.
        area: pixels.
        score: of a found object; None for stuff, and for what labels say.
        is_crowd: of labels: objects of a class that are not told apart.
    """

    number: int
    label: int
    area: int
    score: float | None = None
    is_crowd: bool = False


@dataclass(frozen=True, eq=False)
class PanopticMap:
    """Which segment each pixel belongs to.

    Attributes:
        numbers: (H, W) int32, 0 for none.
        segments: those there are, in the order of their numbers.
    """

    numbers: npt.NDArray[np.int32]
    segments: tuple[Segment, ...]

    def without(self, labels: Collection[int]) -> PanopticMap:
        """The same without the segments of these classes."""
        dropped = [segment.number for segment in self.segments if segment.label in labels]
        if not dropped:
            return self
        numbers = np.where(np.isin(self.numbers, dropped), np.int32(0), self.numbers)
        return replace(self, numbers=numbers, segments=tuple(s for s in self.segments if s.label not in labels))
