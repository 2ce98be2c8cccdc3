"""Object keypoint similarity (OKS): what COCO compares of keypoints, in place of IoU.

OKS = mean over the labelled keypoints of exp(-d^2 / (2 s^2 k^2)): d the distance in pixels, s the root of the object's
area, and k = 2 sigma, where sigma tells how closely people agree on the place of that keypoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskrcnn.structures import KeypointSchema
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import FloatArray

COCO_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
"""As COCO measured them among its annotators; left and right alike."""

OTHER_SIGMA = 0.05
"""For keypoints that COCO does not have: theirs have not been measured."""


def sigmas_of(schema: KeypointSchema) -> list[float]:
    """(P,) the sigma of each keypoint, by its name."""
    return [COCO_SIGMAS.get(_body_part(name), OTHER_SIGMA) for name in schema.names]


def warnings_of(schema: KeypointSchema) -> list[str]:
    """A line when the similarity rests on an assumption."""
    unknown = [name for name in schema.names if _body_part(name) not in COCO_SIGMAS]
    if not unknown:
        return []
    listed = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    return [f"keypoints: sigma {OTHER_SIGMA} is assumed for those that COCO does not have: {listed}"]


def compared_object(keypoints: FloatArray | None, box: list[float], schema: KeypointSchema) -> dict[str, Any]:
    """What is compared of an object to find: its keypoints, how many are labelled, and its box.

    COCO ignores objects without a labelled keypoint, and the detections near their box.

    Args:
        keypoints: (P, 3) x, y, visibility in continuous pixels; None where none is labelled.
        box: COCO's x, y, width, height.
        schema: the P keypoints.
    """
    points = np.zeros((len(schema), 3)) if keypoints is None else keypoints.copy()
    labelled = points[:, 2] > 0
    points[labelled, :2] -= PIXEL_CENTRE
    return {"keypoints": points.flatten().tolist(), "num_keypoints": int(labelled.sum()), "bbox": box}


def similarities(
    found: Sequence[Mapping[str, Any]], truths: Sequence[Mapping[str, Any]], sigmas: Sequence[float]
) -> FloatArray:
    """(D, G) the similarity of D detections with G objects, all in COCO's form.

    To an object without a labelled keypoint, which is to be ignored, a keypoint is as near as to its box made three
    times as large.
    """
    places = np.array([entry["keypoints"] for entry in found], np.float64).reshape(len(found), len(sigmas), 3)[..., :2]
    tolerances = 2 * (2 * np.array(sigmas)) ** 2
    columns = []
    for truth in truths:
        points = np.array(truth["keypoints"], np.float64).reshape(-1, 3)
        labelled, (x, y, width, height) = points[:, 2] > 0, truth["bbox"]
        if labelled.any():
            offsets = places[:, labelled] - points[labelled, :2]
        else:
            low, high = np.array([x - width, y - height]), np.array([x + 2 * width, y + 2 * height])
            offsets, labelled = np.maximum(low - places, 0) + np.maximum(places - high, 0), ~labelled
        distances = np.square(offsets).sum(axis=2) / (truth["area"] + np.spacing(1))
        columns.append(np.exp(-distances / tolerances[labelled]).mean(axis=1))
    return np.stack(columns, axis=1)


def _body_part(name: str) -> str:
    return re.sub(r"^(left|right)_", "", name)
