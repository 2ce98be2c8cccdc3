"""Scores that papers on cells and nuclei give: of whole images, in which a pixel belongs to one object at most.

Every image with objects or detections has its own numbers, and the means over these images are given. Detections from a
score on are drawn into a label image, the best on top, and so are the true objects; at an IoU above 0.5 a detection and
an object can then have one partner only. With TP, FP and FN of an image:

    DSB   the mean of TP / (TP + FP + FN) over IoU above 0.5, 0.55 ... 0.95 (2018 Data Science Bowl)
    AJI   aggregated Jaccard index: each object with the detection of highest IoU, which may serve again; the pixels
          shared over those of the unions, of objects without any, and of detections that served none (Kumar et al.
          2017)
    PQ    DQ x SQ, DQ = TP / (TP + FP / 2 + FN / 2), SQ the mean IoU of TP, 0 without any (Graham et al. 2019)
    F1    2 TP / (2 TP + FP + FN) at IoU above 0.5, of the counts of all images together
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from maskrcnn.evaluation.greedy import THRESHOLDS
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.scenes import Scene, SceneMasks
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.masks.label_image import label_image
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray, IntArray

MANY_OBJECTS = 10
"""So many in an image are a crowd of one kind, such as cells; a guess that costs only a few more numbers."""

Labels = npt.NDArray[np.int32]
"""(H, W) 0 where nothing is, else the number of an object."""


def are_cells(truth: GroundTruth) -> bool:
    """Whether there is one class of objects, with masks, and half of the images that have any have many."""
    counts = [number for number in truth.most_objects().values() if number]
    is_one_class = len(truth.categories) - len(truth.categories.stuff) == 1
    return is_one_class and truth.has_masks() and bool(counts) and median(counts) >= MANY_OBJECTS


class CellScores:
    """The numbers of a data set.

    Args:
        num_images: N.
        score_threshold: detections below it are left out.
    """

    def __init__(self, num_images: int, score_threshold: float) -> None:
        self.score_threshold = score_threshold
        self.of_images = {name: np.full(num_images, np.nan) for name in ("DSB", "AJI", "PQ", "DQ", "SQ")}
        self.matched, self.objects = np.zeros((2, num_images))
        self.found_pixels = self.shared_pixels = 0

    def add(self, scene: Scene) -> None:
        """Draw and count an image."""
        found = scene.found[scene.found.scores >= self.score_threshold]
        labels = _drawn(found, scene.size)
        self.found_pixels += int(found.pixels.sum())
        self.shared_pixels += int(found.pixels.sum()) - int(np.count_nonzero(labels))
        ignored = _drawn(scene.true[scene.true.ignored], scene.size) > 0
        true = _drawn(scene.true[~scene.true.ignored], scene.size)
        overlaps = Overlaps.of(true, _without_ignored(labels, ignored & (true == 0)))
        if overlaps.objects:
            for name, value in overlaps.scores().items():
                self.of_images[name][scene.image] = value
            self.matched[scene.image], self.objects[scene.image] = overlaps.matched(THRESHOLDS[0]), overlaps.objects

    def scores(self, halves: Halves) -> Scores:
        """What the counts come to."""
        numbers = {name: halves.mean(values) for name, values in self.of_images.items()}
        return Scores("cells", "cells", self._note(), {**numbers, "F1": halves.ratio(2 * self.matched, self.objects)})

    def _note(self) -> str:
        shared = self.shared_pixels / max(self.found_pixels, 1)
        return (
            "Means over images, of one class with many objects: detections with a score of at least "
            f"{self.score_threshold:g}, each pixel given to the best one ({100 * shared:.1f} % were found more than "
            "once). DSB: 2018 Data Science Bowl; AJI: aggregated Jaccard index (Kumar et al. 2017); PQ = DQ x SQ "
            "(Graham et al. 2019); F1 at IoU 0.5, of all images together."
        )


@dataclass(frozen=True)
class Overlaps:
    """Pairs of an object and a detection that share pixels.

    Attributes:
        true: (P,) number of the object.
        found: (P,) number of the detection.
        shared: (P,) pixels.
        true_pixels: pixels of each object; 0 for one that is not there.
        found_pixels: the same of detections.
    """

    true: IntArray
    found: IntArray
    shared: IntArray
    true_pixels: IntArray
    found_pixels: IntArray

    @classmethod
    def of(cls, true: Labels, found: Labels) -> Overlaps:
        """Of two label images."""
        both = (true > 0) & (found > 0)
        width = int(found.max(initial=0)) + 1
        pairs, shared = np.unique(true[both].astype(np.int64) * width + found[both], return_counts=True)
        true_pixels, found_pixels = np.bincount(true.reshape(-1)), np.bincount(found.reshape(-1))
        true_pixels[:1] = found_pixels[:1] = 0  # background
        return cls(pairs // width, pairs % width, shared, true_pixels, found_pixels)

    @property
    def objects(self) -> int:
        """2 TP + FP + FN: objects and detections."""
        return int(np.count_nonzero(self.true_pixels) + np.count_nonzero(self.found_pixels))

    @property
    def unions(self) -> IntArray:
        """(P,) pixels."""
        return np.asarray(self.true_pixels[self.true] + self.found_pixels[self.found] - self.shared)

    @property
    def ious(self) -> FloatArray:
        """(P,) above 0."""
        return np.asarray(self.shared / self.unions)

    def matched(self, threshold: float) -> int:
        """TP at an IoU above the threshold."""
        return int((self.ious > threshold).sum())

    def scores(self) -> dict[str, float]:
        """The numbers of an image that has objects or detections."""
        counts = np.array([self.matched(threshold) for threshold in THRESHOLDS])
        ious = self.ious[self.ious > THRESHOLDS[0]]
        dq, sq = 2 * len(ious) / self.objects, float(ious.mean()) if len(ious) else 0.0
        dsb = float((counts / (self.objects - counts)).mean())
        return {"DSB": dsb, "AJI": self.aggregated_jaccard(), "PQ": dq * sq, "DQ": dq, "SQ": sq}

    def aggregated_jaccard(self) -> float:
        """Kumar et al. 2017, algorithm 1."""
        order = np.lexsort((-self.ious, self.true))
        best = order[np.unique(self.true[order], return_index=True)[1]]
        alone = (
            np.delete(self.true_pixels, self.true[best]).sum() + np.delete(self.found_pixels, self.found[best]).sum()
        )
        return float(self.shared[best].sum() / (self.unions[best].sum() + alone))


def _drawn(objects: SceneMasks, size: Size) -> Labels:
    return label_image(objects.masks.to_packed(size))


def _without_ignored(labels: Labels, ignored: npt.NDArray[np.bool_]) -> Labels:
    """Without the objects that lie in ignored regions with more than half of their pixels."""
    if not ignored.any():
        return labels
    pixels = np.bincount(labels.reshape(-1))
    inside = np.bincount(labels[ignored], minlength=len(pixels))
    return np.where((2 * inside <= pixels)[labels], labels, 0)
