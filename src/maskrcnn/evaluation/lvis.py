"""LVIS AP (Gupta et al. 2019), counted by hotcoco: a class is looked for in some images only.

A detection counts only in images in which its class is known to be, or known not to be; where not every object of the
class is labelled, one that meets none is neither right nor wrong. At most 300 detections count in an image, of all
classes together; rare, common and frequent classes are averaged apart. All of this is so of an image in one field
(`fields.py`): LVIS has none with so many objects that it would be divided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from maskrcnn.evaluation.compared import Compared, refusals
from maskrcnn.evaluation.counting import matches_of
from maskrcnn.evaluation.interval import Interval
from maskrcnn.evaluation.intervals import Halves, ap_intervals
from maskrcnn.evaluation.matching import Matches
from maskrcnn.evaluation.ranking import NUM_THRESHOLDS
from maskrcnn.evaluation.scores import Scores
from maskrcnn.structures.federated import Federated

LVIS_DETECTIONS = 300

FREQUENCIES = "rcf"
"""Rare, common, frequent."""

NOTE = (
    "A class counts in the images of which the labels say that it is there or is not, and nothing found is wrong where "
    "they do not have all of its objects; COCO's AP takes both for background. At most 300 detections count in an "
    "image. r, c, f: rare, common and frequent classes (Gupta et al. 2019). Counted by hotcoco."
)


def lvis_scores(compared: Compared, federated: Federated, class_names: Sequence[str], halves: Halves) -> Scores:
    """LVIS's thirteen numbers, for masks or boxes.

    Args:
        compared: N images, K classes.
        federated: what the labels say of them.
        class_names: K.
        halves: of the images.
    """
    capped = replace(compared, found=compared.found.cap_detections_per_image(LVIS_DETECTIONS))
    evaluator = capped.evaluator(federated=True)
    names = [name[0] for name in evaluator.params.area_rng_lbl]
    with refusals(compared.source, compared.iou_type):
        found = matches_of(evaluator, compared.image_of, LVIS_DETECTIONS, evaluator.params.area_rng)
    of_all, *of_sizes = found
    kinds = np.array(federated.frequencies)
    sure = ap_intervals(
        of_all,
        halves,
        len(class_names),
        {f"AP{name}": own for name, own in zip(names[1:], of_sizes, strict=True)},
        {f"AP{kind}": np.flatnonzero(kinds == kind) for kind in FREQUENCIES},
    )
    recalls = [Interval(average_recall(own, len(class_names)), math.nan) for own in found]
    named = {f"AR{name}": recall for name, recall in zip(names[1:], recalls[1:], strict=True)}
    classes = {
        name: own for name, own in zip(class_names, sure.classes, strict=True) if math.isfinite(own["AP"].estimate)
    }
    return Scores("lvis", "LVIS AP", NOTE, {**sure.summary, f"AR{LVIS_DETECTIONS}": recalls[0], **named}, classes)


def average_recall(matches: Sequence[Matches], num_classes: int) -> float:
    """The share of the objects that were found, averaged over IoU thresholds and the classes that have any."""
    hits, truths = np.zeros((num_classes, NUM_THRESHOLDS)), np.zeros(num_classes)
    for match in matches:
        hits[match.label] += (match.matched & ~match.ignored).sum(axis=1)
        truths[match.label] += match.num_truths
    known = truths > 0
    return float((hits[known] / truths[known, None]).mean()) if known.any() else math.nan
