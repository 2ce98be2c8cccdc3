"""COCO's `area`, compared with the masks: it decides what is small, medium or large, and how far off a keypoint is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from maskrcnn.data.report import DataReport, Fault
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.masks.rle import rle_area
from maskrcnn.structures import Polygons
from maskrcnn.structures.labels import LabelStore, MaskKind
from maskrcnn.structures.masks import FloatArray

FACTOR = 2.0
"""A stated area may be so many times too large or too small: tools that write that of the box are still within it."""
_BLOCK = 1 << 16
"""Objects that are looked at together: a million at once would take several times their labels' memory."""
PIXELS = 16.0
"""And it may differ by as much, since little is left of small masks on whole pixels."""


def note_wrong_areas(labels: LabelStore, report: DataReport) -> None:
    """Name the objects whose stated area the mask contradicts; the metrics take what is stated, as COCO's do."""
    for number, image, area in wrong_areas(labels):
        report.place = (int(labels.image_ids[image]), {"bbox": labels.stated_boxes[number].tolist()})
        where = f"annotation {int(labels.annotation_ids[number])}"
        report.add(Fault.AREA_DISAGREES, where, f"stated {float(labels.areas[number]):g}, the mask has {area:g}")


def wrong_areas(labels: LabelStore) -> Iterator[tuple[int, int, float]]:
    """The objects whose stated area the mask contradicts: number, image, and the area of the mask."""
    stated = labels.areas.numpy()
    suspects = np.flatnonzero(_contradict(stated, _rough_areas(labels)))
    image_of = np.searchsorted(labels.first_object.numpy(), suspects, side="right") - 1
    for number, image in zip(suspects.tolist(), image_of.tolist(), strict=True):
        area = _exact_area(labels, number, image)
        if _contradict(stated[number : number + 1], np.array([area]))[0]:
            yield number, image, area


def _contradict(stated: FloatArray, areas: FloatArray) -> np.ndarray:
    """Where both are known and far from one another."""
    low, high = areas / FACTOR - PIXELS, areas * FACTOR + PIXELS
    return (stated < low) | (stated > high)  # with NaN neither


def _rough_areas(labels: LabelStore) -> FloatArray:
    """(G,) areas of the masks, cheaply: too large where rings overlap, wrong where a ring crosses itself; else NaN."""
    areas = np.full(labels.num_objects, np.nan)
    kinds = np.where(labels.ignore.numpy(), MaskKind.NONE, labels.mask_kinds.numpy())
    for start in range(0, len(areas), _BLOCK):
        part = slice(start, start + _BLOCK)
        for kind, rough in ((MaskKind.POLYGONS, _ring_areas), (MaskKind.RLE, _run_areas)):
            chosen = kinds[part] == kind
            if chosen.any():
                areas[part][chosen] = rough(labels, part)[chosen]
    return areas


def _ring_areas(labels: LabelStore, part: slice) -> FloatArray:
    """(g,) the sum of the areas of an object's rings, by the shoelace formula, of a part of the objects."""
    rings = _firsts(labels.first_ring, part)
    first = _firsts(labels.first_point, slice(rings[0], rings[-1]))
    points = labels.points.numpy()[first[0] : first[-1]]
    first, rings = first - first[0], rings - rings[0]
    following = np.arange(1, len(points) + 1)
    following[first[1:] - 1] = first[:-1]
    x, y = points.T
    twice = _sums(x * y[following] - x[following] * y, first)
    return _sums(np.abs(twice) / 2, rings)


def _run_areas(labels: LabelStore, part: slice) -> FloatArray:
    """(g,) the number of ones in an object's run lengths, of a part of the objects."""
    first = _firsts(labels.first_run, part)
    runs = labels.runs.numpy()[first[0] : first[-1]]
    first = first - first[0]
    is_one = (np.arange(len(runs)) - np.repeat(first[:-1], np.diff(first))) % 2 == 1
    return _sums(np.where(is_one, runs, 0).astype(np.float64), first)


def _firsts(column: Tensor, part: slice) -> np.ndarray:
    """Where the parts of `part` begin, and where the last ends."""
    return np.asarray(column.numpy()[part.start : part.stop + 1])


def _sums(values: FloatArray, first: np.ndarray) -> FloatArray:
    """Of each part values[first[i] : first[i + 1]]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(sums[first[1:]] - sums[first[:-1]])


def _exact_area(labels: LabelStore, number: int, image: int) -> float:
    size = labels.size(image)
    mask = labels.mask(number, size)
    assert mask is not None
    return float(rle_area(polygon_to_rle(mask, size) if isinstance(mask, Polygons) else mask))
