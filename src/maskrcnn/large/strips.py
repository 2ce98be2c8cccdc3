"""The objects of a large image painted as numbers, strip by strip, from objects that come in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.rle import Window
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Size
from maskrcnn.structures.masks import Float32Array, IntArray

Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class _Part:
    """Some objects: their runs, the windows of these, scores, and the number of the first."""

    runs: ColumnRuns
    windows: IntArray
    scores: Float32Array
    first: int


class LabelStrips:
    """The label image of an image's objects: 1 for the pixels of the first one, ..., as the parts have them.

    The better object owns what it shares, and of equals the first. Where there are no masks, boxes are painted.
    Memory is that of a strip and of the parts with objects that reach into it.

    Args:
        parts: reads the objects; it is called twice.
        size: (height, width) of the image.

    Attributes:
        labels: (N,) int64 of all objects.
        scores: (N,) float32.
        areas: (N,) int64 pixels of each; together more than the image has of them where objects overlap.
    """

    def __init__(self, parts: Callable[[], Iterator[Prediction]], size: Size) -> None:
        self._parts, self._size = parts, size
        areas, tops = [np.zeros(0, np.int64)], []
        labels, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for part in parts():
            runs = _runs_of(part)
            tops.append(runs.tops.min(initial=size[0]))
            areas.append(runs.areas())
            labels.append(part.labels)
            scores.append(part.scores)
        self.labels, self.scores, self.areas = np.concatenate(labels), np.concatenate(scores), np.concatenate(areas)
        # An object of many tiles comes late and may begin far above: nothing below this is still to come.
        self._rest_begins = np.minimum.accumulate(tops[::-1])[::-1].tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def strips(self, rows: int) -> Iterator[Numbers]:
        """(rows, width) from top to bottom; the last may have fewer rows."""
        height, width = self._size
        to_come, waiting, number = iter(self._rest_begins), list[_Part](), 1
        begins, parts = next(to_come, height), self._parts()
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            while begins < bottom:
                found = next(parts)
                runs = _runs_of(found)
                waiting.append(_Part(runs, runs.windows(), found.scores, number))
                begins, number = next(to_come, height), number + len(found)
            yield _painted(waiting, (0, top, width, bottom))
            waiting = [part for part in waiting if part.windows[:, 3].max(initial=0) > bottom]


def _painted(parts: list[_Part], strip: Window) -> Numbers:
    """The best object last, over the others."""
    _, top, width, bottom = strip
    numbers = np.zeros((bottom - top, width), np.uint32)
    found = [
        (score, -part.first - index, part, index)
        for part in parts
        for index, score in zip(*_reaching_into(part, top, bottom), strict=True)
    ]
    for _, number, part, index in sorted(found, key=lambda one: one[:2]):
        x1, y1, x2, y2 = part.windows[index].tolist()
        window = (x1, max(y1, top), x2, min(y2, bottom))
        place = numbers[window[1] - top : window[3] - top, x1:x2]
        place[part.runs.crop(index, window).view(bool)] = -number
    return numbers


def _reaching_into(part: _Part, top: int, bottom: int) -> tuple[list[int], list[float]]:
    inside = np.flatnonzero((part.windows[:, 1] < bottom) & (part.windows[:, 3] > top))
    return inside.tolist(), part.scores[inside].tolist()


def _runs_of(found: Prediction) -> ColumnRuns:
    """Of their masks; of their boxes, to whole pixels, where there are none."""
    if found.has_masks:
        return ColumnRuns.from_packed(found.run_lengths)
    height, width = found.image_size
    x1, y1, x2, y2 = np.clip(np.rint(found.boxes).astype(np.int64), 0, [width, height, width, height]).T
    sizes = np.where(y2 > y1, np.maximum(x2 - x1, 0), 0)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    columns = np.arange(offsets[-1]) + np.repeat(x1 - offsets[:-1], sizes)
    return ColumnRuns(columns, np.repeat(y1, sizes), np.repeat(y2, sizes), offsets)
