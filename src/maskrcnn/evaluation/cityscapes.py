"""Cityscapes' AP of objects (Cordts et al. 2016), by the rules of its evalInstanceLevelSemanticLabeling.

An object is found by the detection with the best score of those that have an IoU above the threshold; the others are
wrong. What meets no object that counts is not wrong if its IoU with a group or with an object of less than 100 pixels
is above the threshold, or if a larger share of it than the threshold lies in void, groups and such objects. Precision
is averaged over recall as it is, without making it monotonous, by the trapezoidal rule from precision 1 at recall 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from maskrcnn.evaluation.interval import Interval
from maskrcnn.evaluation.intervals import EVERY, Halves, Sampled
from maskrcnn.evaluation.matching import Matches
from maskrcnn.evaluation.pairs import Pairs, pairs_of
from maskrcnn.evaluation.scenes import Scene
from maskrcnn.evaluation.scores import Scores
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.rle_coco import packed_from_coco
from maskrcnn.masks.shared_pixels import pixels_inside
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray
from maskrcnn.structures.street import StreetPixels

THRESHOLDS: FloatArray = np.arange(0.5, 1.0, 0.05)
"""(T,) of IoU, as the original has them to the last bit."""

LEAST_PIXELS = 100
"""Of an object that counts."""

VALUES_AT_A_TIME = 1 << 20
"""Detections times halves: bounds memory."""

NOTE = (
    "By the rules of Cityscapes (Cordts et al. 2016): objects of at least 100 pixels count; what lies in void, or in "
    "groups or smaller objects of its class, is neither right nor wrong; of several detections of an object the best "
    "is right."
)


class CityscapesAP:
    """AP over IoU 0.5 to 0.95, and at 0.5.

    Args:
        pixels: void, by the ids of images.
        image_ids: N, in the order of the scenes.
        class_names: K.
    """

    def __init__(self, pixels: StreetPixels, image_ids: Sequence[int], class_names: Sequence[str]) -> None:
        self.pixels, self.image_ids, self.class_names = pixels, image_ids, class_names
        self.matches: list[list[Matches]] = [[] for _ in class_names]

    def add(self, scene: Scene) -> None:
        """Match the masks of an image."""
        void, left_out = self._pixels_of(scene)
        found, true, height = scene.found, scene.true, scene.size[0]
        in_void, in_others = (pixels_inside(true.masks, region, height) for region in (void, left_out))
        pairs = pairs_of(scene)
        groups = true.ignored & (in_void + in_others < true.pixels)  # others are of no class
        pairs = _plain_ious(scene, pairs[(groups | ~true.ignored)[pairs.true]])
        small = true.pixels < LEAST_PIXELS
        times = groups.astype(np.int64) + small  # the pixels of a small group count twice, as in the original
        excused = pixels_inside(found.masks, void, height)
        np.add.at(excused, pairs.found, pairs.shared * times[pairs.true])
        for match in _matches(scene, pairs, ~(true.ignored | small), _shares(excused, found.pixels)):
            self.matches[match.label].append(match)

    def scores(self, halves: Halves) -> Scores:
        """What the matches come to."""
        every = np.ones((1, len(self.image_ids)), bool)
        curves = [_Curve(own, len(self.image_ids)) for own in self.matches]
        whole, parts = (
            np.stack([curve.average_precisions(some) for curve in curves], axis=1) for some in (every, halves.chosen)
        )
        sampled = Sampled(whole[0], parts, [halves.groups[curve.truths > 0] for curve in curves], halves)

        def numbers(classes: slice) -> dict[str, Interval]:
            return {name: sampled.interval(classes, at) for name, at in (("AP", EVERY), ("AP50", slice(0, 1)))}

        classes = {name: numbers(slice(k, k + 1)) for k, name in enumerate(self.class_names)}
        known = {name: own for name, own in classes.items() if math.isfinite(own["AP"].estimate)}
        return Scores("cityscapes", "Cityscapes AP", NOTE, numbers(EVERY), known)

    def _pixels_of(self, scene: Scene) -> tuple[ColumnRuns, ColumnRuns]:
        """Void and what is left out of an image, a mask each; none where the labels say nothing."""
        number = self.image_ids[scene.image]
        stated = ([part[number]] if number in part else [] for part in (self.pixels.void, self.pixels.left_out))
        void, left_out = (ColumnRuns.from_packed(packed_from_coco(masks, scene.size)) for masks in stated)
        return void, left_out


def _shares(parts: IntArray, wholes: IntArray) -> FloatArray:
    """(n,) of masks; 1 of an empty one, which counts nowhere."""
    return np.divide(parts, wholes, out=np.ones(len(wholes)), where=wholes > 0)


def _plain_ious(scene: Scene, pairs: Pairs) -> Pairs:
    """With intersection over union for groups, too."""
    union = scene.found.pixels[pairs.found] + scene.true.pixels[pairs.true] - pairs.shared
    return pairs.with_ious(pairs.shared / union)


def _matches(scene: Scene, pairs: Pairs, counts: BoolArray, excused: FloatArray) -> Iterator[Matches]:
    """Class by class.

    Args:
        scene: D masks found, best first, and G true ones.
        pairs: of them.
        counts: (G,) which are to be found.
        excused: (D,) the share of each that lies where nothing is wrong.
    """
    found, true = scene.found, scene.true
    right, wrong = np.zeros((2, len(THRESHOLDS), len(found)), bool)
    for t, threshold in enumerate(THRESHOLDS):
        met = pairs[pairs.ious > threshold]
        wrong[t] = excused <= threshold
        wrong[t, met.found] = False
        real = met[counts[met.true]]
        wrong[t, real.found] = True
        best = np.unique(real.true, return_index=True)[1]  # pairs come by rising number, best score first
        right[t, real.found[best]] = True
    for label in np.union1d(found.labels, true.labels).tolist():
        own = found.labels == label
        ignored = ~(right | wrong)[:, own]
        yield Matches(
            scene.image, label, found.scores[own], right[:, own], ignored, int(counts[true.labels == label].sum())
        )


class _Curve:
    """Precision over recall of one class.

    Args:
        matches: of it.
        num_images: N.

    Attributes:
        truths: (N,) objects to find.
    """

    def __init__(self, matches: Sequence[Matches], num_images: int) -> None:
        scores = np.concatenate([np.zeros(0), *(match.scores for match in matches)])
        order = np.argsort(-scores, kind="stable")
        images = np.repeat([match.image for match in matches], [len(match.scores) for match in matches])
        empty = np.zeros((len(THRESHOLDS), 0), bool)
        self.scores, self.images = scores[order], images.astype(np.int64)[order]
        self.right = np.concatenate([empty, *(match.matched for match in matches)], axis=1)[:, order]
        self.counts = ~np.concatenate([empty, *(match.ignored for match in matches)], axis=1)[:, order]
        self.truths = np.zeros(num_images, np.int64)
        for match in matches:
            self.truths[match.image] += match.num_truths

    def average_precisions(self, choices: BoolArray) -> FloatArray:
        """(B, T) over each choice (B, N) of images; NaN without an object in them."""
        portion = max(1, VALUES_AT_A_TIME // max(len(self.images), 1))
        parts = [self._areas(choices[i : i + portion]) for i in range(0, len(choices), portion)]
        return np.concatenate([np.zeros((0, len(THRESHOLDS))), *parts])

    def _areas(self, choices: BoolArray) -> FloatArray:
        totals = (choices @ self.truths)[:, None]
        found = np.full((len(choices), len(THRESHOLDS)), np.nan)
        for t, counts in enumerate(self.counts):
            chosen = choices[:, self.images[counts]]
            # A threshold keeps all of equal score or none: only the last of each run is a point of the curve.
            last = np.append(np.diff(self.scores[counts]) != 0, True)[: chosen.shape[1]]
            hits = np.cumsum(chosen & self.right[t, counts], axis=1)[:, last]
            kept = np.cumsum(chosen, axis=1)[:, last]
            precision = np.divide(hits, kept, out=np.ones(hits.shape), where=kept > 0)
            recall = hits / np.maximum(totals, 1)
            precision, recall = _from(1.0, precision), _from(0.0, recall)
            found[:, t] = ((precision[:, 1:] + precision[:, :-1]) / 2 * np.diff(recall, axis=1)).sum(axis=1)
        return np.where(totals > 0, found, np.nan)


def _from(first: float, values: FloatArray) -> FloatArray:
    """(B, n + 1) with the point before."""
    return np.concatenate([np.full((len(values), 1), first), values], axis=1)
