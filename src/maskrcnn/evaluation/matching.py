"""Which detection met which object, and what follows: scores per image, and the best score threshold per class.

Letters: T IoU thresholds, D detections, N images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.evaluation.metrics import ImageMetrics, OperatingPoint
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Matches:
    """The detections of one class in one image against its objects; of an image in fields those of one field.

    COCO's matching: best score first, each detection takes the free object it overlaps most, if by the threshold.
    A detection's match never depends on lower-scored ones, so cutting at a score needs no new matching.

    Attributes:
        image: index of the image.
        label: of the class.
        scores: (D,), best first.
        matched: (T, D) met an object.
        ignored: (T, D) met a crowd region: neither right nor wrong.
        num_truths: objects to find.
    """

    image: int
    label: int
    scores: FloatArray
    matched: BoolArray
    ignored: BoolArray
    num_truths: int

    @classmethod
    def from_coco(cls, entry: Mapping[str, Any], image: int) -> Matches:
        """Read one entry of COCOeval's `evalImgs`, about an image or a part of one."""
        scores = np.asarray(entry["dtScores"], dtype=np.float64)
        shape = (len(entry["dtMatched"]), len(scores))
        return cls(
            image,
            entry["category_id"],
            scores,
            np.asarray(entry["dtMatched"], dtype=bool).reshape(shape),
            np.asarray(entry["dtIgnore"], dtype=bool).reshape(shape),
            entry["gtIgnore"].count(False),
        )


def per_image_metrics(
    matches: Sequence[Matches], image_ids: Sequence[int], score_threshold: float
) -> tuple[ImageMetrics, ...]:
    """TP / (TP + FP + FN) of every image over all classes, the score of the 2018 Data Science Bowl.

    Args:
        matches: of all images and classes.
        image_ids: id of image 0, 1, ...
        score_threshold: detections below it are left out.
    """
    hits, misses, lost = _count(matches, len(image_ids), score_threshold)
    possible = hits + misses + lost
    scores = np.where(possible > 0, hits / np.maximum(possible, 1), 1.0)  # (T, N)
    return tuple(
        ImageMetrics(
            image_id,
            true_positives=int(hits[0, i]),
            false_positives=int(misses[0, i]),
            false_negatives=int(lost[0, i]),
            ap50=float(scores[0, i]),
            ap=float(scores[:, i].mean()),
        )
        for i, image_id in enumerate(image_ids)
    )


def _count(matches: Sequence[Matches], num_images: int, score_threshold: float) -> tuple[IntArray, IntArray, IntArray]:
    """(T, N) true positives, false positives and false negatives."""
    num_thresholds = len(matches[0].matched) if matches else 1
    hits, misses, lost = (np.zeros((num_thresholds, num_images), np.int64) for _ in range(3))
    for match in matches:
        counts = (match.scores >= score_threshold) & ~match.ignored  # (T, D)
        found = (counts & match.matched).sum(axis=1)
        hits[:, match.image] += found
        misses[:, match.image] += counts.sum(axis=1) - found
        lost[:, match.image] += match.num_truths - found
    return hits, misses, lost


def best_operating_point(matches: Sequence[Matches]) -> OperatingPoint:
    """The score threshold with the highest F1 at the first IoU threshold, for matches of one class or of several.

    NaN throughout where nothing is to be found or nothing was.
    """
    num_truths = sum(match.num_truths for match in matches)
    scores = _joined([match.scores[~match.ignored[0]] for match in matches])
    matched = _joined([match.matched[0][~match.ignored[0]] for match in matches])
    if num_truths == 0 or len(scores) == 0:
        return OperatingPoint(*[float("nan")] * 4)
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], np.cumsum(matched[order])
    kept = np.arange(1, len(scores) + 1)
    f1 = 2 * found / (kept + num_truths)
    # a threshold keeps all detections of equal score or none, so only the last of each run is a choice
    last_of_run = np.append(scores[1:] != scores[:-1], True)
    best = int(np.argmax(np.where(last_of_run, f1, -1.0)))
    precision, recall = found[best] / kept[best], found[best] / num_truths
    return OperatingPoint(float(scores[best]), float(precision), float(recall), float(f1[best]))


def _joined(parts: Sequence[FloatArray | BoolArray]) -> FloatArray:
    return np.concatenate([np.zeros(0), *parts]).astype(np.float64)
