"""COCO's `keypoints`: x, y and visibility of each of the class's keypoints, one after the other in one list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from maskrcnn.data.coco_masks import LARGEST_COORDINATE, Note
from maskrcnn.data.report import Fault
from maskrcnn.structures import KeypointSchema, Size
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import BoolArray, FloatArray
from maskrcnn.text import brief

OUTSIDE_PIXELS = 1.0
"""A keypoint less far outside the image is moved to the border without being reported."""


def read_keypoints(
    entry: Mapping[str, Any], schema: KeypointSchema | None, size: Size, note: Note
) -> FloatArray | None:
    """(P, 3) x, y, visibility in continuous pixels, all 0 where not labelled; None when no keypoint is labelled.

    Args:
        entry: the annotation.
        schema: the keypoints of its class, if that has any.
        size: of the image.
        note: takes down what is wrong.
    """
    stated = entry.get("keypoints")
    if not stated:
        return None
    if schema is None:
        note(Fault.KEYPOINTS_UNNAMED, brief(stated))
        return None
    keypoints = _numbers(stated, len(schema), note)
    if keypoints is None:
        return None
    labelled = keypoints[:, 2] > 0
    count = int(labelled.sum())
    if entry.get("num_keypoints", count) != count:
        note(Fault.KEYPOINTS_COUNT, f"{brief(entry['num_keypoints'])}, labelled are {count}")
    known = _known_visibility(keypoints, schema, note)
    inside = _moved_inside(keypoints, labelled & known, schema, size, note)
    kept = labelled & known & inside
    return np.where(kept[:, None], keypoints, 0.0) if kept.any() else None


def keypoints_to_coco(keypoints: FloatArray) -> dict[str, Any]:
    """(P, 3) x, y, visibility in continuous pixels as COCO has them: the numbers of pixels."""
    seen = keypoints[:, 2] > 0
    stated = np.where(seen[:, None], keypoints - (PIXEL_CENTRE, PIXEL_CENTRE, 0), 0)
    return {"keypoints": stated.reshape(-1).tolist(), "num_keypoints": int(seen.sum())}


def _numbers(stated: Any, count: int, note: Note) -> FloatArray | None:
    """(P, 3), or None."""
    try:
        numbers = np.array(stated, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        note(Fault.KEYPOINTS_NUMBERS, brief(stated))
        return None
    if numbers.ndim != 1 or not (np.abs(numbers) <= LARGEST_COORDINATE).all():
        note(Fault.KEYPOINTS_NUMBERS, brief(stated))
    elif len(numbers) != 3 * count:
        note(Fault.KEYPOINTS_LENGTH, f"{len(numbers)} numbers for {count} keypoints")
    else:
        return numbers.reshape(count, 3)
    return None


def _known_visibility(keypoints: FloatArray, schema: KeypointSchema, note: Note) -> BoolArray:
    """(P,) False where the visibility is none of COCO's."""
    known = np.isin(keypoints[:, 2], (0, 1, 2))
    if not known.all():
        note(Fault.KEYPOINT_VISIBILITY, _first(schema, ~known, keypoints))
    return np.asarray(known)


def _moved_inside(
    keypoints: FloatArray, labelled: BoolArray, schema: KeypointSchema, size: Size, note: Note
) -> BoolArray:
    """(P,) whether a keypoint lies in the image; `keypoints` become continuous pixels, in place."""
    points = keypoints[:, :2] + PIXEL_CENTRE
    limits = np.array([size[1], size[0]])
    inside = ((points >= -OUTSIDE_PIXELS) & (points <= limits + OUTSIDE_PIXELS)).all(axis=1)
    if (labelled & ~inside).any():
        note(Fault.KEYPOINT_OUTSIDE, _first(schema, labelled & ~inside, keypoints))
    keypoints[:, :2] = np.clip(points, 0, limits)
    return np.asarray(inside)


def _first(schema: KeypointSchema, wrong: BoolArray, keypoints: FloatArray) -> str:
    """The first of the keypoints that are wrong, and how many there are."""
    index = int(np.flatnonzero(wrong)[0])
    more = f" and {wrong.sum() - 1} more" if wrong.sum() > 1 else ""
    return f"{schema.names[index]} {keypoints[index].tolist()}{more}"
