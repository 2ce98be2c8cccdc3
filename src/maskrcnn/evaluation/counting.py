"""The counting itself, done by hotcoco: what goes in, what comes out."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import hotcoco
import numpy as np

from maskrcnn.evaluation.compared import Compared, refusals
from maskrcnn.evaluation.matching import Matches
from maskrcnn.structures.masks import FloatArray

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
        (matches,) = matches_of(fresh, compared.num_images, limits[-1], fresh.params.area_rng[:1])
    arrays = evaluator.eval or {}
    return np.asarray(arrays["precision"]), np.asarray(arrays["recall"]), matches


def matches_of(
    evaluator: hotcoco.COCOeval, num_images: int, limit: int, ranges: Sequence[Sequence[float]]
) -> list[list[Matches]]:
    """The matches at a limit of detections over the objects of each range of areas, of a fresh evaluator."""
    params = evaluator.params
    params.max_dets, params.area_rng = [limit], [list(bounds) for bounds in ranges]
    params.area_rng_lbl = [str(number) for number in range(len(ranges))]
    places = {tuple(bounds): number for number, bounds in enumerate(ranges)}
    matches: list[list[Matches]] = [[] for _ in ranges]
    for start in range(0, num_images, IMAGES_AT_A_TIME):
        params.img_ids = list(range(start, min(start + IMAGES_AT_A_TIME, num_images)))
        evaluator.evaluate()
        with _garbage_collection_paused():
            for entry in evaluator.eval_imgs:
                if entry is not None:
                    matches[places[tuple(entry["aRng"])]].append(Matches.from_coco(entry))
    return matches


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
