"""The counting itself, done by hotcoco: what goes in, what comes out."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import hotcoco
import numpy as np

from maskrcnn.evaluation.compared import Compared, refusals
from maskrcnn.evaluation.matching import Matches
from maskrcnn.structures.masks import FloatArray, IntArray

_ALL = 0
"""Place of the area range of all objects."""

IMAGES_AT_A_TIME = 200
"""Matches come as nested Python lists, megabytes per hundred images, so they are fetched in portions."""


def count(compared: Compared, limits: list[int]) -> tuple[FloatArray, FloatArray, list[Matches]]:
    """COCO's matching and accumulation.

    Args:
        compared: truth and predictions.
        limits: detections that count per image and class (maxDets), ascending.

    Returns:
        Precision (T, R, K, A, M) and recall (T, K, A, M), -1 where there is no object; and the matches of every image
        and class at the highest limit, over objects of all sizes.

    Raises:
        UserError: hotcoco refuses a value.
    """
    with refusals(compared.source, compared.iou_type):
        evaluator = compared.evaluator()
        evaluator.params.max_dets = limits
        evaluator.evaluate()
        evaluator.accumulate()
        fresh = compared.evaluator()
        (matches,) = matches_of(fresh, compared.image_of, limits[-1], fresh.params.area_rng[:1])
    arrays = evaluator.eval or {}
    precision, recall = np.asarray(arrays["precision"]), np.asarray(arrays["recall"])
    if compared.is_divided:  # a limit is one of an image, and hotcoco takes it for one of each field
        for place, limit in enumerate(limits[:-1]):
            recall[:, :, _ALL, place] = _recall(matches, limit, compared.num_classes)
    return precision, recall, matches


def matches_of(
    evaluator: hotcoco.COCOeval, image_of: IntArray, limit: int, ranges: Sequence[Sequence[float]]
) -> list[list[Matches]]:
    """The matches at a limit of detections over the objects of each range of areas, of a fresh evaluator.

    `image_of` has the images of the fields.
    """
    images, num_fields = image_of.tolist(), len(image_of)
    params = evaluator.params
    params.max_dets, params.area_rng = [limit], [list(bounds) for bounds in ranges]
    params.area_rng_lbl = [str(number) for number in range(len(ranges))]
    places = {tuple(bounds): number for number, bounds in enumerate(ranges)}
    matches: list[list[Matches]] = [[] for _ in ranges]
    for start in range(0, num_fields, IMAGES_AT_A_TIME):
        params.img_ids = list(range(start, min(start + IMAGES_AT_A_TIME, num_fields)))
        evaluator.evaluate()
        with _garbage_collection_paused():
            for entry in evaluator.eval_imgs:
                if entry is not None:
                    matches[places[tuple(entry["aRng"])]].append(Matches.from_coco(entry, images[entry["image_id"]]))
    return matches


def _recall(matches: Sequence[Matches], limit: int, num_classes: int) -> FloatArray:
    """(T, K) over the best `limit` detections of each image and class; -1 without an object."""
    by_class: list[dict[int, list[Matches]]] = [{} for _ in range(num_classes)]
    for match in matches:
        by_class[match.label].setdefault(match.image, []).append(match)
    num_thresholds = max((len(match.matched) for match in matches), default=0)
    recall = np.full((num_thresholds, num_classes), -1.0)
    for label, of_images in enumerate(by_class):
        truths = sum(match.num_truths for own in of_images.values() for match in own)
        if truths:
            recall[:, label] = sum(_hits(own, limit) for own in of_images.values()) / truths
    return recall


def _hits(parts: Sequence[Matches], limit: int) -> IntArray:
    """(T,) objects that the best detections of one image have found."""
    order = np.argsort(-np.concatenate([part.scores for part in parts]), kind="stable")[:limit]
    hits = np.concatenate([part.matched & ~part.ignored for part in parts], axis=1)
    return np.asarray(hits[:, order].sum(axis=1))


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Some hundred thousand small lists, none of them garbage, would set the collector off again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
