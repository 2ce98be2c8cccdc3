"""The regions of a picture of numbers, each as run lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import Window, counts_between
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


def regions_in_bands(
    read: Callable[[Window], npt.NDArray[Any]], size: Size, band: int = 1 << 23
) -> Iterator[tuple[int, RLE]]:
    """The same of a label image of (height, width) of which windows are read, `band` pixels at a time."""
    found: dict[int, list[ColumnRuns]] = {}
    height, width = size
    columns = max(band // height, 1)
    for left in range(0, width, columns):
        for number, rle in labelled_regions(read((left, 0, min(left + columns, width), height))):
            runs = ColumnRuns.from_packed(PackedRLE.from_rles([rle], rle.size), (left, 0))
            found.setdefault(number, []).append(runs)
    for number in sorted(found):
        yield number, ColumnRuns.concatenate(found.pop(number)).as_one().to_packed(size).rle(0)


def rle_of_positions(positions: IntArray, size: Size) -> RLE:
    """Run lengths of the pixels at these ascending positions x * H + y."""
    gaps = np.flatnonzero(np.diff(positions) != 1)
    starts, ends = positions[np.concatenate([[0], gaps + 1])], positions[np.concatenate([gaps, [-1]])] + 1
    return RLE(size, counts_between(np.stack([starts, ends], axis=1).reshape(-1), size[0] * size[1]))
