"""Size: of an image."""

from __future__ import annotations

from collections.abc import Sequence

Size = tuple[int, int]
"""(height, width) in pixels."""


def padded_size(sizes: Sequence[Size], divisor: int) -> Size:
    """The largest height and the largest width, rounded up to multiples of `divisor`."""
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    return -(-height // divisor) * divisor, -(-width // divisor) * divisor
