"""What keypoints an object of YOLO's has, as data.yaml says it (`kpt_shape`, `flip_idx`).

They have no names there: they are k1, k2, ..., and those that a mirror exchanges left_1 and right_1, whichever side
they are on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from maskrcnn.data.formats.content import ContentBuilder
from maskrcnn.data.formats.yolo_settings import NOTHING, YoloSettings
from maskrcnn.data.report import Fault
from maskrcnn.structures import KeypointSchema
from maskrcnn.text import brief

MAX_KEYPOINTS = 1000


@dataclass(frozen=True)
class Pose:
    """What follows the box of each object.

    Attributes:
        schema: the keypoints.
        dimensions: 2 for x and y, 3 for a visibility besides.
    """

    schema: KeypointSchema
    dimensions: int


def pose_of(settings: YoloSettings, builder: ContentBuilder) -> Pose | None:
    """What keypoints the objects have; None where they have outlines or boxes, or it is not known how many."""
    stated = settings.stated.get("kpt_shape")
    if stated is None or (isinstance(stated, str) and stated.lower() in NOTHING):
        return None
    shape = _whole(stated)
    if len(shape) != 2 or not 0 < shape[0] <= MAX_KEYPOINTS or shape[1] not in (2, 3):
        builder.fault(Fault.KEYPOINT_SHAPE, settings.file, brief(stated))
        return None
    return Pose(KeypointSchema(_keypoint_names(shape[0], _whole(settings.stated.get("flip_idx")))), shape[1])


def _whole(values: Any) -> list[int]:
    """A list of whole numbers; empty where it is another one."""
    good = isinstance(values, list) and all(isinstance(v, str) and re.fullmatch(r"\d{1,5}", v) for v in values)
    return [int(value) for value in values] if good else []


def _keypoint_names(count: int, mirrored: list[int]) -> tuple[str, ...]:
    """Names by which the schema knows what stands in the place of what in a mirror."""
    names = [f"k{number}" for number in range(1, count + 1)]
    for first, second in enumerate(mirrored if len(mirrored) == count else []):
        if first < second < count and mirrored[second] == first:
            names[first], names[second] = f"left_{first + 1}", f"right_{first + 1}"
    return tuple(names)
