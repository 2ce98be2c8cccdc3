"""The kind of each error, one by one, by TIDE (Bolya et al. 2020, section 2.2), and the worst of each kind.

hotcoco counts the kinds and does not tell which detection has which; the definitions here are those that it counts by.
Letters: D wrong detections of one image, G its objects and regions to be ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import hotcoco
import numpy as np

from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.explanation import ErrorCase
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.oks import similarities
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

FOREGROUND, BACKGROUND = 0.5, 0.1
"""IoU from which on an object is found, and up to which a detection has nothing to do with it."""

_OF_DETECTIONS = ("localisation", "classification", "double", "background", "both")
"""In the order in which they are asked for."""

_Compare = Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]], BoolArray], FloatArray]
"""Gives the IoU or the like (D, G) of detections with objects, some of which are regions to be ignored."""

WORST_SHOWN, OF_ONE_IMAGE = 6, 2
"""So many errors of a kind are shown, and of them so many from one image."""


def error_cases(compared: Compared, evaluator: hotcoco.COCOeval) -> Iterator[list[ErrorCase]]:
    """All errors, image by image or field by field, of an evaluator that has evaluated what is compared.

    Of keypoints their similarity (OKS) takes the place of IoU.
    """
    compare = partial(_similarities, iou_type=compared.iou_type, sigmas=compared.sigmas)
    judged: Mapping[str, Any] = evaluator.image_diagnostics(FOREGROUND, score_thr=2.0)  # no labels to be suspected
    for image in evaluator.params.img_ids:
        truths, found = (_entries(content, image) for content in (evaluator.coco_gt, evaluator.coco_dt))
        wrong = [entry for entry in found if judged["dt_status"].get(entry["id"]) == "fp"]
        finders = [judged["gt_match"].get(entry["id"]) for entry in truths]
        found_errors = _errors_of_image(wrong, truths, finders, compare)
        yield [_of_image(case, compared) for case in found_errors]


def _of_image(case: ErrorCase, compared: Compared) -> ErrorCase:
    """With the image instead of the field, and places among all results."""
    found, better = (None if i is None else int(compared.result_of[i]) for i in (case.found, case.better))
    return replace(case, image=int(compared.image_of[case.image]), found=found, better=better)


def worst_cases(images: Iterable[Sequence[ErrorCase]]) -> dict[str, tuple[ErrorCase, ...]]:
    """Of each kind the detections of the highest scores, and the largest missed objects.

    At most two come from one image, or from one field of an image with very many objects.
    """
    candidates: dict[str, list[ErrorCase]] = {}
    for cases in images:
        for kind in {case.kind for case in cases}:
            own = sorted((case for case in cases if case.kind == kind), key=_badness)
            candidates.setdefault(kind, []).extend(own[:OF_ONE_IMAGE])
    return {kind: tuple(sorted(cases, key=_badness)[:WORST_SHOWN]) for kind, cases in candidates.items()}


def _badness(case: ErrorCase) -> tuple[float, int]:
    return -case.weight, case.image


def _entries(content: hotcoco.COCO, image: int) -> list[dict[str, Any]]:
    return content.load_anns(content.get_ann_ids(img_ids=[image]))


def _errors_of_image(
    wrong: Sequence[Mapping[str, Any]],
    truths: Sequence[Mapping[str, Any]],
    finders: Sequence[int | None],
    compare: _Compare,
) -> list[ErrorCase]:
    """The errors of one image: from its wrong detections, its objects, and the detection that has found each."""
    crowd = np.array([bool(truth.get("iscrowd")) or truth.get("num_keypoints") == 0 for truth in truths], bool)
    met = np.array([finder is not None for finder in finders], bool)
    missed = ~met & ~crowd
    cases = []
    if wrong:
        kinds, about, ious = _kinds(wrong, truths, met, crowd, compare)
        for entry, kind, target, iou in zip(wrong, kinds, about.tolist(), ious.tolist(), strict=True):
            truth, finder = (None, None) if kind == "background" else (truths[target]["id"] - 1, finders[target])
            better = None if finder is None else finder - 1
            overlap = 0.0 if truth is None else iou
            cases.append(ErrorCase(kind, entry["image_id"], entry["id"] - 1, truth, better, overlap, entry["score"]))
            if kind in ("localisation", "classification"):  # put right, the detection would find this object
                missed[target] = False
    lost = (truth for truth, is_missed in zip(truths, missed.tolist(), strict=True) if is_missed)
    return cases + [
        ErrorCase("missed", truth["image_id"], None, truth["id"] - 1, None, 0.0, float(truth["area"])) for truth in lost
    ]


def _kinds(
    wrong: Sequence[Mapping[str, Any]],
    truths: Sequence[Mapping[str, Any]],
    met: BoolArray,
    crowd: BoolArray,
    compare: _Compare,
) -> tuple[list[str], IntArray, FloatArray]:
    """The kind of each of D wrong detections, the number (D,) of the object it is about, and the IoU with it (D,)."""
    if not truths:
        return ["background"] * len(wrong), np.zeros(len(wrong), np.int64), np.zeros(len(wrong))
    ious = compare(wrong, truths, crowd)  # (D, G)
    same = np.equal.outer([entry["category_id"] for entry in wrong], [entry["category_id"] for entry in truths])
    own, other, used = (np.where(chosen, ious, 0.0) for chosen in (same, ~same & ~crowd, same & met))
    nearest, elsewhere = own.max(axis=1), other.max(axis=1)
    conditions = (
        (nearest >= BACKGROUND) & (nearest <= FOREGROUND),
        elsewhere >= FOREGROUND,
        used.max(axis=1) >= FOREGROUND,
        elsewhere <= BACKGROUND,
    )
    numbers = np.select(conditions, range(4), 4)
    targets = np.stack([values.argmax(axis=1) for values in (own, other, used, other, other)])
    about = targets[numbers, np.arange(len(wrong))]
    return [_OF_DETECTIONS[number] for number in numbers.tolist()], about, ious[np.arange(len(wrong)), about]


def _similarities(
    wrong: Sequence[Mapping[str, Any]],
    truths: Sequence[Mapping[str, Any]],
    crowd: BoolArray,
    iou_type: IouType,
    sigmas: Sequence[float],
) -> FloatArray:
    """(D, G) as COCO counts it: of a region to be ignored, the share of the detection that lies in it."""
    from hotcoco.primitives import bbox_iou, mask_iou

    if iou_type == "keypoints":
        return similarities(wrong, truths, sigmas)
    if iou_type == "box":
        return bbox_iou([entry["bbox"] for entry in wrong], [entry["bbox"] for entry in truths], crowd)
    return mask_iou([entry["segmentation"] for entry in wrong], [entry["segmentation"] for entry in truths], crowd)
