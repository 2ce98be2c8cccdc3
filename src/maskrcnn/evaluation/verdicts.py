"""Which shown detections are right, wrong or doubles, and which objects are missed, in an image to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.error_cases import FOREGROUND, error_cases
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth


@dataclass(frozen=True)
class Verdict:
    """On one detection, at IoU 0.5, of keypoints OKS 0.5.

    Attributes:
        kind: "right", "wrong" or "double"; "" where it met a region to be ignored, or is not compared.
        truth: number in `GroundTruth.labels` of the object that it has found, or found once more.
    """

    kind: str = ""
    truth: int | None = None


@dataclass(frozen=True)
class Verdicts:
    """On one image.

    Attributes:
        found: on each result, in the order given.
        missed: numbers in `GroundTruth.labels` of the objects that none of them has found.
    """

    found: Sequence[Verdict]
    missed: frozenset[int]


NONE_MISSED = Verdicts((), frozenset())
"""For the truth alone."""


def judge(truth: GroundTruth, image_id: int, results: Sequence[Result], iou_type: IouType, limit: int) -> Verdicts:
    """Compare the results of one image with what was to be found there.

    Args:
        truth: what was to be found.
        image_id: of the image.
        results: COCO results of this image alone.
        iou_type: what to compare.
        limit: detections that count per class.
    """
    own = replace(truth, images={image_id: truth.images[image_id]})
    numbers = [number for _, number in own.objects_compared(iou_type)]
    label_of = truth.categories.label_of
    places = [i for i, result in enumerate(results) if truth.is_compared(label_of(result["category_id"]), iou_type)]
    verdicts = [Verdict() for _ in results]
    if not places:
        return Verdicts(verdicts, frozenset(number for number in numbers if not truth.labels.ignore[number]))
    compared = Compared.of(own, results, iou_type, limit)
    evaluator = compared.evaluator()
    evaluator.params.max_dets = [limit]
    evaluator.evaluate()
    judged = evaluator.image_diagnostics(FOREGROUND, score_thr=2.0)
    for found, status in judged["dt_status"].items():
        right = status == "tp"
        verdicts[places[compared.result_of[found - 1]]] = (
            Verdict("right", numbers[judged["dt_match"][found] - 1]) if right else Verdict("wrong")
        )
    for case in chain.from_iterable(error_cases(compared, evaluator)):
        if case.kind == "double" and case.found is not None and case.truth is not None:
            verdicts[places[case.found]] = Verdict("double", numbers[case.truth])
    missed = (number for number, status in judged["gt_status"].items() if status == "fn")
    return Verdicts(verdicts, frozenset(numbers[number - 1] for number in missed))
