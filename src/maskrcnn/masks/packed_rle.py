"""Run lengths of many masks in one array: what a result keeps of its masks once they are decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from maskrcnn.masks.rle_crops import crop_rle
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import ByteArray, IntArray

PORTION = 256
"""Masks whose windows are found together: many at a time is fast, all of them may be more than memory holds."""


@dataclass(frozen=True, eq=False)
class PackedRLE:
    """Run lengths of D masks of one frame; a mask is unpacked only when it is asked for.

    Attributes:
        counts: the run lengths of all masks, one after the other, as small unsigned integers as the frame admits.
        offsets: (D + 1,) int64; mask i owns counts[offsets[i]:offsets[i + 1]].
        image_size: (height, width) of the frame.
    """

    counts: npt.NDArray[np.unsignedinteger]
    offsets: IntArray
    image_size: Size

    @classmethod
    def from_rles(cls, rles: Iterable[RLE], image_size: Size) -> PackedRLE:
        """Pack run lengths one by one; all are those of a frame of `image_size`."""
        kind = np.min_scalar_type(image_size[0] * image_size[1])
        counts = [rle.counts.astype(kind) for rle in rles]
        offsets = np.cumsum([0, *map(len, counts)], dtype=np.int64)
        return cls(np.concatenate([np.zeros(0, kind), *counts]), offsets, image_size)

    @classmethod
    def concatenate(cls, parts: Sequence[PackedRLE]) -> PackedRLE:
        """The masks of at least one part, all of one frame, one after the other."""
        sizes = np.concatenate([np.diff(part.offsets) for part in parts])
        offsets = np.cumsum([0, *sizes.tolist()], dtype=np.int64)
        return cls(np.concatenate([part.counts for part in parts]), offsets, parts[0].image_size)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[RLE]:
        return (self.rle(index) for index in range(len(self)))

    def __getitem__(self, indices: IntArray) -> PackedRLE:
        """The masks `indices`, in that order."""
        return PackedRLE.from_rles((self.rle(index) for index in indices.tolist()), self.image_size)

    def rle(self, index: int) -> RLE:
        """The run lengths of one mask."""
        start, end = self.offsets[index : index + 2].tolist()
        return RLE(self.image_size, self.counts[start:end].astype(np.int64))

    @cached_property
    def windows(self) -> IntArray:
        """(D, 4) the tightest window around each mask, whole pixels x1, y1, x2, y2; zeros for an empty one."""
        windows = np.zeros((len(self), 4), np.int64)
        for start in range(0, len(self), PORTION):
            offsets = self.offsets[start : start + PORTION + 1]
            counts = self.counts[offsets[0] : offsets[-1]].astype(np.int64)
            windows[start : start + PORTION] = _windows(counts, offsets - offsets[0], max(self.image_size[0], 1))
        return windows

    def crop(self, index: int) -> ByteArray:
        """(h, w) bitmap of 0 and 1 of one mask inside its window."""
        x1, y1, x2, y2 = self.windows[index].tolist()
        return crop_rle(self.rle(index), (x1, y1, x2, y2))


def _windows(counts: IntArray, offsets: IntArray, height: int) -> IntArray:
    """(D, 4) what `rle_window` says of each of D masks, as in `PackedRLE`, from all runs at once."""
    windows = np.zeros((len(offsets) - 1, 4), np.int64)
    sizes = offsets[1:] - offsets[:-1]
    totals = np.concatenate([[0], np.cumsum(counts)])
    place = np.arange(len(counts)) - np.repeat(offsets[:-1], sizes)
    runs = np.flatnonzero((place % 2 == 1) & (counts > 0))
    of_mask = np.repeat(np.arange(len(windows)), sizes)[runs]
    starts = totals[runs] - totals[offsets[:-1]][of_mask]
    ends = starts + counts[runs]
    firsts = np.flatnonzero(np.diff(of_mask, prepend=-1))
    lasts = np.append(firsts[1:], len(runs)) - 1
    if len(firsts):
        top = np.minimum.reduceat(starts % height, firsts)
        bottom = np.maximum.reduceat(starts % height + counts[runs], firsts)
        through = bottom > height  # a run that passes the bottom of the frame goes on at its top
        sides = starts[firsts] // height, np.where(through, 0, top), (ends[lasts] - 1) // height + 1
        windows[of_mask[firsts]] = np.stack([*sides, np.where(through, height, bottom)], axis=1)
    return windows
