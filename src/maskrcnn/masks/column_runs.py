"""Masks as runs of pixels in columns: they can be moved to another frame, thousands at a time.

COCO's run lengths depend on the height of the frame and go on from the bottom of one column to the top of the next. A
run here lies in one column, so that a mask found in a tile is moved into the whole image by adding two numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import Window
from maskrcnn.structures import Size
from maskrcnn.structures.masks import ByteArray, IntArray


@dataclass(frozen=True, eq=False)
class ColumnRuns:
    """D masks, each as runs in rising order of columns, and of rows in a column.

    Attributes:
        columns: (R,) int64 x of each run.
        tops: (R,) int64 its first row.
        bottoms: (R,) int64 one past its last row.
        offsets: (D + 1,) int64; mask i owns the runs offsets[i] to offsets[i + 1].
    """

    columns: IntArray
    tops: IntArray
    bottoms: IntArray
    offsets: IntArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_packed(cls, masks: PackedRLE, corner: tuple[int, int] = (0, 0)) -> ColumnRuns:
        """The runs of masks whose frame lies with its upper left corner at `corner` (x, y) of another one."""
        height = max(masks.image_size[0], 1)
        counts, sizes = masks.counts.astype(np.int64), np.diff(masks.offsets)
        before = np.concatenate([[0], np.cumsum(counts)])
        ends = before[1:] - np.repeat(before[masks.offsets[:-1]], sizes)
        of_mask = np.repeat(np.arange(len(masks)), sizes)
        is_run = (np.arange(len(counts)) - np.repeat(masks.offsets[:-1], sizes)) % 2 == 1
        is_run &= counts > 0
        starts, ends, of_mask = (ends - counts)[is_run], ends[is_run], of_mask[is_run]
        # A run that goes on in the next columns becomes one run in each.
        parts = (ends - 1) // height - starts // height + 1
        first_part = np.cumsum(parts) - parts
        column = np.repeat(starts // height, parts) + np.arange(parts.sum()) - np.repeat(first_part, parts)
        tops = np.maximum(np.repeat(starts, parts) - column * height, 0)
        bottoms = np.minimum(np.repeat(ends, parts) - column * height, height)
        runs_of_mask = np.bincount(np.repeat(of_mask, parts), minlength=len(masks))
        return cls(column + corner[0], tops + corner[1], bottoms + corner[1], _offsets(runs_of_mask))

    @classmethod
    def from_bitmap(cls, bitmap: ByteArray, corner: tuple[int, int]) -> ColumnRuns:
        """One mask, given as a bitmap (h, w) whose upper left pixel is `corner` (x, y)."""
        columns = np.zeros((bitmap.shape[1], bitmap.shape[0] + 2), np.int8)
        columns[:, 1:-1] = bitmap.T != 0
        change = np.diff(columns, axis=1)
        x, tops = np.nonzero(change == 1)
        bottoms = np.nonzero(change == -1)[1]
        return cls(x + corner[0], tops + corner[1], bottoms + corner[1], np.array([0, len(x)], np.int64))

    @classmethod
    def concatenate(cls, parts: Sequence[ColumnRuns]) -> ColumnRuns:
        """The masks of all parts, one after the other."""
        empty = np.zeros(0, np.int64)
        return cls(
            np.concatenate([empty, *(part.columns for part in parts)]),
            np.concatenate([empty, *(part.tops for part in parts)]),
            np.concatenate([empty, *(part.bottoms for part in parts)]),
            _offsets(np.concatenate([empty, *(np.diff(part.offsets) for part in parts)])),
        )

    def as_one(self) -> ColumnRuns:
        """One mask of all of them, whose columns rise from each to the next."""
        return ColumnRuns(self.columns, self.tops, self.bottoms, np.array([0, len(self.columns)], np.int64))

    def __getitem__(self, indices: IntArray) -> ColumnRuns:
        """The masks `indices`, in that order."""
        sizes = np.diff(self.offsets)[indices]
        offsets = _offsets(sizes)
        runs = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][indices] - offsets[:-1], sizes)
        return ColumnRuns(self.columns[runs], self.tops[runs], self.bottoms[runs], offsets)

    def clipped(self, image_size: Size) -> ColumnRuns:
        """What of the masks lies inside a frame of (height, width)."""
        bottoms = np.minimum(self.bottoms, image_size[0])
        kept = (self.columns < image_size[1]) & (self.tops < bottoms)
        before = np.concatenate([[0], np.cumsum(kept)])
        return ColumnRuns(self.columns[kept], self.tops[kept], bottoms[kept], before[self.offsets].astype(np.int64))

    def within(self, window: Window) -> ColumnRuns:
        """What of the masks lies inside a window, in its frame."""
        x1, y1, x2, y2 = window
        tops, bottoms = np.maximum(self.tops, y1) - y1, np.minimum(self.bottoms, y2) - y1
        kept = (self.columns >= x1) & (self.columns < x2) & (tops < bottoms)
        before = np.concatenate([[0], np.cumsum(kept)])
        offsets = before[self.offsets].astype(np.int64)
        return ColumnRuns(self.columns[kept] - x1, tops[kept], bottoms[kept], offsets)

    def every(self, step: int) -> ColumnRuns:
        """The masks of a frame made smaller: every `step`-th pixel of every `step`-th column, from the first on."""
        tops, bottoms = -(-self.tops // step), -(-self.bottoms // step)
        kept = (self.columns % step == 0) & (tops < bottoms)
        before = np.concatenate([[0], np.cumsum(kept)])
        offsets = before[self.offsets].astype(np.int64)
        return ColumnRuns(self.columns[kept] // step, tops[kept], bottoms[kept], offsets)

    def flat(self, height: int) -> tuple[IntArray, IntArray]:
        """(R,) where each run starts and ends in the columns of a frame, one below the other."""
        columns = self.columns * height
        return columns + self.tops, columns + self.bottoms

    def areas(self) -> IntArray:
        """(D,) pixels of each mask."""
        before = np.concatenate([[0], np.cumsum(self.bottoms - self.tops)])
        return np.asarray(np.diff(before[self.offsets]))

    def area_in(self, index: int, window: Window) -> int:
        """Pixels that one mask has inside a window."""
        x1, y1, x2, y2 = window
        runs = slice(*self.offsets[index : index + 2].tolist())
        columns = self.columns[runs]
        lengths = np.minimum(self.bottoms[runs], y2) - np.maximum(self.tops[runs], y1)
        return int(np.maximum(lengths, 0)[(columns >= x1) & (columns < x2)].sum())

    def windows(self) -> IntArray:
        """(D, 4) the tightest window around each mask, whole pixels x1, y1, x2, y2; zeros for an empty one."""
        windows = np.zeros((len(self), 4), np.int64)
        occupied = np.flatnonzero(np.diff(self.offsets))
        if len(occupied):
            first = self.offsets[occupied]
            windows[occupied, 0] = self.columns[first]
            windows[occupied, 1] = np.minimum.reduceat(self.tops, first)
            windows[occupied, 2] = self.columns[self.offsets[occupied + 1] - 1] + 1
            windows[occupied, 3] = np.maximum.reduceat(self.bottoms, first)
        return windows

    def crop(self, index: int, window: Window) -> ByteArray:
        """(h, w) bitmap of 0 and 1 of what one mask has inside `window`."""
        x1, y1, x2, y2 = window
        runs = slice(*self.offsets[index : index + 2].tolist())
        columns = self.columns[runs]
        inside = slice(*np.searchsorted(columns, [x1, x2]).tolist())
        rows = y2 - y1 + 1  # and one for the ends at the lower edge
        column = (columns[inside] - x1) * rows
        change = np.zeros((x2 - x1) * rows, np.int8)
        # A run outside begins and ends at the same place, which adds nothing.
        np.add.at(change, column + np.clip(self.tops[runs][inside] - y1, 0, y2 - y1), 1)
        np.add.at(change, column + np.clip(self.bottoms[runs][inside] - y1, 0, y2 - y1), -1)
        bitmap = np.cumsum(change.reshape(x2 - x1, rows), axis=1, dtype=np.int8)[:, :-1]
        return np.ascontiguousarray(bitmap.T).view(np.uint8)

    def to_packed(self, image_size: Size) -> PackedRLE:
        """COCO's run lengths in a frame of (height, width) in which all of the masks lie."""
        height, total = image_size[0], image_size[0] * image_size[1]
        of_mask = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        starts, ends = self.columns * height + self.tops, self.columns * height + self.bottoms
        # From the bottom of one column to the top of the next it is one run.
        joined = (starts[1:] == ends[:-1]) & (of_mask[1:] == of_mask[:-1])
        starts, start_of = starts[np.r_[True, ~joined][: len(starts)]], of_mask[np.r_[True, ~joined][: len(starts)]]
        ends = ends[np.r_[~joined, True][: len(ends)]]
        # Per mask: the places where the value changes, then the end of the frame.
        runs = np.bincount(start_of, minlength=len(self))
        offsets = _offsets(2 * runs + 1)
        place = np.arange(len(starts)) * 2 + start_of  # one entry more for each mask before
        changes = np.full(offsets[-1], total, np.int64)
        changes[place], changes[place + 1] = starts, ends
        counts = np.diff(changes, prepend=0)
        counts[offsets[:-1]] = changes[offsets[:-1]]
        kept = np.ones(len(counts), bool)
        kept[offsets[1:] - 1] = (counts[offsets[1:] - 1] > 0) | (runs == 0)  # no empty run at the end
        kept_of_mask = np.add.reduceat(kept, offsets[:-1]) if len(self) else np.zeros(0, np.int64)
        return PackedRLE(counts[kept].astype(np.min_scalar_type(total)), _offsets(kept_of_mask), image_size)


def _offsets(sizes: IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
