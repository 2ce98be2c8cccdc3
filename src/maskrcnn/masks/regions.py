"""The regions of a picture of numbers, each as run lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.masks.rle import counts_between
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import IntArray


def labelled_regions(values: npt.NDArray[Any]) -> Iterator[tuple[int, RLE]]:
    """Every value but 0 of an (H, W) label image with the run lengths of its pixels, in ascending order.

    A value is one object, however many parts it has: neighbours touch, so parts tell nothing.
    """
    flat = values.T.reshape(-1)
    positions = np.flatnonzero(flat)
    found = flat[positions]
    order = np.argsort(found, kind="stable")
    positions, found = positions[order], found[order]
    numbers, starts = np.unique(found, return_index=True)
    size = (int(values.shape[0]), int(values.shape[1]))
    for number, start, end in zip(numbers.tolist(), starts, [*starts[1:], len(found)], strict=False):
        yield int(number), rle_of_positions(positions[start:end], size)


def rle_of_positions(positions: IntArray, size: Size) -> RLE:
    """Run lengths of the pixels at these ascending positions x * H + y."""
    gaps = np.flatnonzero(np.diff(positions) != 1)
    starts, ends = positions[np.concatenate([[0], gaps + 1])], positions[np.concatenate([gaps, [-1]])] + 1
    return RLE(size, counts_between(np.stack([starts, ends], axis=1).reshape(-1), size[0] * size[1]))
