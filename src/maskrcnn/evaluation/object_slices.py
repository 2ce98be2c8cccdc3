"""Parts of the objects that may go differently: small, medium and large ones, and those that the image's edge cuts.

As for COCO's sizes: objects of the other parts are ignored, and so are detections of the other parts that meet none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import hotcoco
import numpy as np

from maskrcnn.evaluation.compared import Compared, refusals
from maskrcnn.evaluation.counting import IMAGES_AT_A_TIME, matches_of
from maskrcnn.evaluation.matching import Matches
from maskrcnn.structures.masks import BoolArray, FloatArray

SIZES: Mapping[str, str] = {
    "APs": "small, below 32 x 32 pixels",
    "APm": "medium",
    "APl": "large, above 96 x 96 pixels",
}
"""COCO's, by the name of their AP."""

AT_EDGE, INSIDE = "at the edge of the image", "away from the edge"

_EDGE, _NO_EDGE = 1.0, 3.0
"""What stands in for an area, so that hotcoco takes the two parts for two sizes."""


def matches_by_size(compared: Compared, limit: int) -> dict[str, list[Matches]]:
    """The matches over objects of each of COCO's sizes, by the name of its AP; keypoints have no small ones."""
    evaluator = compared.evaluator()
    names, ranges = evaluator.params.area_rng_lbl[1:], evaluator.params.area_rng[1:]
    with refusals(compared.source, compared.iou_type):
        found = matches_of(evaluator, compared.image_of, limit, ranges)
    return {f"AP{name[0]}": own for name, own in zip(names, found, strict=True)}


def matches_by_edge(compared: Compared, limit: int) -> dict[str, list[Matches]]:
    """The matches over objects that have pixels in the outermost row or column of their image, and over the others."""
    marked = replace(compared, truth=_marked(compared.truth), found=_marked(compared.found))
    ranges = [(area - 0.5, area + 0.5) for area in (_EDGE, _NO_EDGE)]
    with refusals(compared.source, compared.iou_type):
        found = matches_of(marked.evaluator(), compared.image_of, limit, ranges)
    return dict(zip((AT_EDGE, INSIDE), found, strict=True))


def _marked(content: hotcoco.COCO) -> hotcoco.COCO:
    """A copy in which the area of each object tells where it lies."""
    marked = content.filter(drop_empty_images=False)
    sizes = {number: (image["width"], image["height"]) for number, image in content.imgs.items()}
    numbers = sorted(sizes)
    for start in range(0, len(numbers), IMAGES_AT_A_TIME):
        own = content.load_anns(content.get_ann_ids(img_ids=numbers[start : start + IMAGES_AT_A_TIME]))
        if own:
            boxes = np.array([entry["bbox"] for entry in own], np.float64)
            frames = np.array([sizes[entry["image_id"]] for entry in own], np.float64)
            areas = np.where(_reaches_edge(boxes, frames), _EDGE, _NO_EDGE)
            marked.update_anns(ids=[entry["id"] for entry in own], area=areas)
    return marked


def _reaches_edge(boxes: FloatArray, frames: FloatArray) -> BoolArray:
    """(n,) of COCO's boxes (n, 4) in frames (n, 2) of (width, height)."""
    return np.asarray(((boxes[:, :2] < 1) | (boxes[:, :2] + boxes[:, 2:] > frames - 1)).any(axis=1))
