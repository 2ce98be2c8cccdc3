"""Scores that papers on cells and nuclei give: of whole images, in which a pixel belongs to one object at most.

Every image with objects or detections has its own numbers, and the means over these images are given. Of the detections
from a score on, the best has a pixel that several claim, of the true objects the first, as in a label image; at an IoU
above 0.5 a detection and an object can then have one partner only. With TP, FP and FN of an image:

    DSB   the mean of TP / (TP + FP + FN) over IoU above 0.5, 0.55 ... 0.95 (2018 Data Science Bowl)
    AJI   aggregated Jaccard index: each object with the detection of highest IoU, which may serve again; the pixels
          shared over those of the unions, of objects without any, and of detections that served none (Kumar et al.
          2017)
    PQ    DQ x SQ, DQ = TP / (TP + FP / 2 + FN / 2), SQ the mean IoU of TP, 0 without any (Graham et al. 2019)
    F1    2 TP / (2 TP + FP + FN) at IoU above 0.5, of the counts of all images together
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from maskrcnn.evaluation.greedy import THRESHOLDS
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.scenes import Scene, SceneMasks
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray, IntArray

MANY_OBJECTS = 10
"""So many in an image are a crowd of one kind, such as cells; a guess that costs only a few more numbers."""


def are_cells(truth: GroundTruth) -> bool:
    """Whether there is one class of objects, with masks, and half of the images that have any have many."""
    counts = [number for number in truth.most_objects().values() if number]
    is_one_class = len(truth.categories) - len(truth.categories.stuff) == 1
    return is_one_class and truth.has_masks() and bool(counts) and median(counts) >= MANY_OBJECTS


class CellScores:
    """The numbers of a data set; all counts of an image are sums over its fields.

    Args:
        num_images: N.
        score_threshold: detections below it are left out.
    """

    def __init__(self, num_images: int, score_threshold: float) -> None:
        self.score_threshold = score_threshold
        self.matched = np.zeros((num_images, len(THRESHOLDS)))
        self.objects, self.ious, self.shared, self.union = np.zeros((4, num_images))
        self.claimed = self.given = 0

    def add(self, scene: Scene) -> None:
        """Count an image, or a field of one."""
        found = scene.found[scene.found.scores >= self.score_threshold]
        ignored = scene.true.ignored
        overlaps, given = Overlaps.of(scene.true[~ignored], found, scene.true[ignored], scene.size)
        self.claimed, self.given = self.claimed + int(found.pixels.sum()), self.given + given
        image, ious = scene.image, overlaps.ious
        self.matched[image] += (ious > THRESHOLDS[:, None]).sum(axis=1)
        self.objects[image] += np.count_nonzero(overlaps.true_pixels) + np.count_nonzero(overlaps.found_pixels)
        self.ious[image] += ious[ious > THRESHOLDS[0]].sum()
        shared, union = overlaps.aggregated_jaccard()
        self.shared[image], self.union[image] = self.shared[image] + shared, self.union[image] + union

    def scores(self, halves: Halves) -> Scores:
        """What the counts come to."""
        first = self.matched[:, 0]
        known = np.where(self.objects > 0, self.objects, np.nan)  # 2 TP + FP + FN
        of_images = {
            "DSB": (self.matched / (known[:, None] - self.matched)).mean(axis=1),
            "AJI": self.shared / np.where(self.objects > 0, self.union, np.nan),
            "PQ": 2 * self.ious / known,
            "DQ": 2 * first / known,
            "SQ": self.ious / np.maximum(first, 1) + 0 * known,
        }
        numbers = {name: halves.mean(values) for name, values in of_images.items()}
        return Scores("cells", "cells", self._note(), {**numbers, "F1": halves.ratio(2 * first, self.objects)})

    def _note(self) -> str:
        again = (self.claimed - self.given) / max(self.claimed, 1)
        return (
            "Means over images, of one class with many objects: detections with a score of at least "
            f"{self.score_threshold:g}, each pixel given to the best one ({100 * again:.1f} % were found more than "
            "once). DSB: 2018 Data Science Bowl; AJI: aggregated Jaccard index (Kumar et al. 2017); PQ = DQ x SQ "
            "(Graham et al. 2019); F1 at IoU 0.5, of all images together."
        )


@dataclass(frozen=True)
class Overlaps:
    """Pairs of an object and a detection that share pixels, after each pixel was given to one of either at most.

    Attributes:
        true: (P,) number of the object, from 1.
        found: (P,) number of the detection, from 1.
        shared: (P,) pixels.
        true_pixels: of the objects by number, 0 of one that has none left; the first is none.
        found_pixels: the same of detections.
    """

    true: IntArray
    found: IntArray
    shared: FloatArray
    true_pixels: FloatArray
    found_pixels: FloatArray

    @classmethod
    def of(cls, true: SceneMasks, found: SceneMasks, ignored: SceneMasks, size: Size) -> tuple[Overlaps, int]:
        """The overlaps, and how many pixels were found.

        A detection that lies with more than half of its pixels in ignored regions, and not on objects, is left out.
        """
        pixels, (of_true, of_found, of_ignored) = owned([true.masks, found.masks, ignored.masks], size[0])
        found_pixels = _sums(pixels, of_found, len(found))
        excused = _sums(pixels * ((of_ignored > 0) & (of_true == 0)), of_found, len(found))
        of_found = np.where((2 * excused > found_pixels)[of_found], 0, of_found)
        both, width = (of_true > 0) & (of_found > 0), len(found) + 1
        pairs, places = np.unique(of_true[both] * width + of_found[both], return_inverse=True)
        shared = _sums(pixels[both], places, len(pairs))[: len(pairs)]
        counts = _sums(pixels, of_true, len(true)), _sums(pixels, of_found, len(found))
        for of_each in counts:
            of_each[0] = 0  # of none
        return cls(pairs // width, pairs % width, shared, *counts), int(found_pixels[1:].sum())

    @property
    def unions(self) -> FloatArray:
        """(P,) pixels."""
        return np.asarray(self.true_pixels[self.true] + self.found_pixels[self.found] - self.shared)

    @property
    def ious(self) -> FloatArray:
        """(P,) above 0."""
        return np.asarray(self.shared / self.unions)

    def aggregated_jaccard(self) -> tuple[float, float]:
        """The pixels shared and those of the unions (Kumar et al. 2017, algorithm 1)."""
        order = np.lexsort((-self.ious, self.true))
        best = order[np.unique(self.true[order], return_index=True)[1]]
        lost, useless = np.delete(self.true_pixels, self.true[best]), np.delete(self.found_pixels, self.found[best])
        return float(self.shared[best].sum()), float(self.unions[best].sum() + lost.sum() + useless.sum())


def _sums(pixels: IntArray, numbers: IntArray, most: int) -> FloatArray:
    """(most + 1,) pixels by number."""
    return np.bincount(numbers, pixels, most + 1).astype(np.float64)


def owned(groups: Sequence[ColumnRuns], height: int) -> tuple[IntArray, list[IntArray]]:
    """Runs of pixels in which nothing changes.

    Args:
        groups: masks in one frame.
        height: of the frame.

    Returns:
        (R,) the pixels of each run, and for each group (R,) the number, from 1, of the first mask that has it; 0: none.
    """
    runs = [masks.flat(height) for masks in groups]
    ends = np.unique(np.concatenate([np.zeros(1, np.int64), *(part for run in runs for part in run)]))
    return np.diff(ends), [_owners(masks, run, ends) for masks, run in zip(groups, runs, strict=True)]


def _owners(masks: ColumnRuns, runs: tuple[IntArray, IntArray], ends: IntArray) -> IntArray:
    first, past = (np.searchsorted(ends, places) for places in runs)
    counts = past - first
    numbers = np.repeat(np.arange(len(masks)), np.diff(masks.offsets)) + 1
    parts = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    owners = np.full(len(ends) - 1, len(masks) + 1)
    np.minimum.at(owners, parts, np.repeat(numbers, counts))
    return np.where(owners > len(masks), 0, owners)
