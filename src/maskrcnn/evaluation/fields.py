"""Images of very many objects, divided for COCO's matching into fields that do not touch.

COCO's tables have a cell for each pair of a detection and an object of an image: those of a slide with ten thousand
nuclei take gigabytes. What shares no pixel never matches, so that boxes that overlap, directly or by way of others, are
matched together and apart from the rest. The numbers stay what they are, with two exceptions: of detections with equal
scores in one image another may come first; and the table of confusions takes the limit of detections for one of each
class, where elsewhere it is one of the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.evaluation.metrics import IouType
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.rle_coco import LARGEST_LABELLED, packed_from_coco
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray, IntArray

MOST_PAIRS = 1 << 22
"""An image with more is divided."""

FIELD = 512
"""Detections and objects of a field, about; one of more cannot be divided."""

_PAIRS_AT_A_TIME = 1 << 22

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Fields:
    """Where A objects and the best of the detections are matched.

    Attributes:
        image_of: (F,) the image of each field; the first N are the N images, the others further parts of them.
        of_truths: (A,) the field of each object.
        of_found: (D,) the field of each detection that counts.
        found: (D,) the numbers of these among all.
    """

    image_of: IntArray
    of_truths: IntArray
    of_found: IntArray
    found: IntArray

    @classmethod
    def of(
        cls, truths: Sequence[Entry], found: Sequence[Entry], sizes: Sequence[Size], iou_type: IouType, limit: int
    ) -> Fields:
        """One for each image, more for those of very many pairs.

        Args:
            truths: COCO annotations; the ids of images are 0 to N - 1.
            found: COCO results.
            sizes: (height, width) of the N images.
            iou_type: what is compared; keypoints are never divided, since they can match without an overlap.
            limit: detections of an image and class that count, the best: of a field all do.
        """
        image_of = list(range(len(sizes)))
        of_truths, of_found = (
            np.array([entry["image_id"] for entry in entries], np.int64) for entries in (truths, found)
        )
        pairs = np.bincount(of_truths, minlength=len(sizes)) * np.bincount(of_found, minlength=len(sizes))
        counts = np.ones(len(found), bool)
        for image in np.flatnonzero(pairs > MOST_PAIRS).tolist() if iou_type != "keypoints" else ():
            theirs, ours = np.flatnonzero(of_truths == image), np.flatnonzero(of_found == image)
            best = _best([found[i] for i in ours.tolist()], limit)
            counts[ours[~best]] = False
            ours = ours[best]
            entries = [*(truths[i] for i in theirs.tolist()), *(found[i] for i in ours.tolist())]
            own = fields_of(_boxes(entries, sizes[image], iou_type))
            numbers = np.concatenate([[image], np.arange(own.max(initial=0)) + len(image_of)])
            image_of += [image] * (len(numbers) - 1)
            of_truths[theirs], of_found[ours] = numbers[own[: len(theirs)]], numbers[own[len(theirs) :]]
        return cls(np.array(image_of, np.int64), of_truths, of_found[counts], np.flatnonzero(counts))


def fields_of(boxes: FloatArray, at_most: int = FIELD) -> IntArray:
    """(n,) number from 0 of the field of each box (n, 4) x1, y1, x2, y2: boxes that overlap are in the same one."""
    group = _connected(boxes)
    order = np.argsort(boxes[:, 0], kind="stable")  # neighbours share a field
    _, first, places, sizes = np.unique(group[order], return_index=True, return_inverse=True, return_counts=True)
    by_place = np.argsort(first)
    before = np.empty(len(sizes), np.int64)
    before[by_place] = np.cumsum(sizes[by_place]) - sizes[by_place]
    fields = np.empty(len(boxes), np.int64)
    fields[order] = np.unique(before // at_most, return_inverse=True)[1].reshape(-1)[places.reshape(-1)]
    return fields


def _connected(boxes: FloatArray) -> IntArray:
    """(n,) the same number for boxes that overlap, directly or by way of others."""
    names = np.arange(len(boxes))
    edges = np.concatenate([np.zeros((0, 2), np.int64), *_overlapping(boxes)])
    while (names[edges[:, 0]] != names[edges[:, 1]]).any():
        lower = np.minimum(names[edges[:, 0]], names[edges[:, 1]])
        for end in edges.T:
            np.minimum.at(names, end, lower)
            np.minimum.at(names, names[end], lower)
        names = names[names]
    return names


def _overlapping(boxes: FloatArray) -> Iterator[IntArray]:
    """Pairs (E, 2) of boxes that share some area, by a sweep from left to right."""
    order = np.argsort(boxes[:, 0], kind="stable")
    x1, y1, x2, y2 = boxes[order].T
    numbers = np.arange(len(boxes))
    following = np.maximum(np.searchsorted(x1, x2, side="left") - numbers - 1, 0)
    portions = np.cumsum(following) // _PAIRS_AT_A_TIME
    for portion in np.unique(portions):
        chosen = numbers[portions == portion]
        first = np.repeat(chosen, following[chosen])
        ends = np.cumsum(following[chosen])
        second = first + 1 + np.arange(len(first)) - np.repeat(ends - following[chosen], following[chosen])
        meets = (y1[first] < y2[second]) & (y1[second] < y2[first])
        yield np.stack([order[first[meets]], order[second[meets]]], axis=1)


def _best(found: Sequence[Entry], limit: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(n,) which of the results of one image are among the `limit` best of their class."""
    scores, labels = (np.array([entry[key] for entry in found]) for key in ("score", "category_id"))
    order = np.lexsort((np.arange(len(found)), -scores, labels))
    place = np.arange(len(found)) - np.searchsorted(labels[order], labels[order])
    best = np.zeros(len(found), bool)
    best[order] = place < limit
    return best


def _boxes(entries: Sequence[Entry], size: Size, iou_type: IouType) -> FloatArray:
    """(n, 4) x1, y1, x2, y2 around what is compared."""
    if iou_type == "mask":
        masks = packed_from_coco([entry["segmentation"] for entry in entries], size, LARGEST_LABELLED)
        return ColumnRuns.from_packed(masks).windows().astype(np.float64)
    boxes = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
