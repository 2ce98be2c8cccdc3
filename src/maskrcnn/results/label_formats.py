"""Predictions as labels: what was found, for the writers of label formats, to be corrected and trained on.

Where a form is made for people to correct, masks are outlines of few points; elsewhere they are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maskrcnn.data.formats.writers import write_form
from maskrcnn.data.formats.writers.scene import Loss, Scene
from maskrcnn.detected import DetectedObject, Part
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.prediction import Prediction
from maskrcnn.results.finished import Finished, FinishedImage
from maskrcnn.results.outlined import outlined
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.viz.skeletons import KEYPOINT_THRESHOLD

TOLERANCE = 0.5
"""Pixels by which an outline that is to be corrected may differ from the mask."""

HASH = 12
"""Characters of the SHA-256 of a model's file that tell it from others."""

Json = dict[str, Any]

_SEEN = 2
"""COCO's visibility of a keypoint."""


def write_labels(finished: Finished, folder: Path, writer: str, *, exact: bool) -> Loss:
    """A data set in a label format, with copies of the images.

    Args:
        finished: the images.
        folder: to write into.
        writer: one of `WRITERS`.
        exact: masks to the pixel; else outlines within `TOLERANCE`, but for masks with holes.
    """
    loss = Loss()
    scene = Scene(label_content(finished, loss, exact=exact), finished.folder, f"maskrcnn {finished.model[:HASH]}")
    return loss + write_form(writer, scene, folder)


def label_content(finished: Finished, loss: Loss, *, exact: bool) -> Json:
    """Images, objects and classes as COCO content; an object keeps its score, and one without pixels is counted."""
    images: list[Json] = []
    annotations: list[Json] = []
    for image in finished:
        images.append(image_entry(image))
        for entry in annotations_of(image, loss, exact):
            annotations.append({"id": len(annotations) + 1, **entry})
    return {"images": images, "annotations": annotations, "categories": finished.categories.to_coco()}


def image_entry(image: FinishedImage) -> Json:
    """An image as COCO has it."""
    height, width = image.size
    return {"id": image.number, "file_name": image.name, "height": height, "width": width}


def annotations_of(image: FinishedImage, loss: Loss, exact: bool) -> Iterator[Json]:
    """Its objects as COCO annotations without ids; those with an empty mask are left out and counted."""
    return (entry for part in image.parts() for entry in _annotations(part, image.number, loss, exact))


def _annotations(part: Prediction, number: int, loss: Loss, exact: bool) -> Iterator[Json]:
    outlines = None if exact or not part.has_masks else part.polygons(TOLERANCE)
    results = part.to_coco(number)
    for _, found in outlined([part], loss):
        result = results[found.index]
        entry = {name: result[name] for name in ("image_id", "category_id", "bbox", "score")}
        if part.has_masks:
            entry["segmentation"] = _segmentation(found, None if outlines is None else outlines[found.index])
        yield {**entry, **_keypoints(found), "area": found.area, "iscrowd": 0}


def _segmentation(found: DetectedObject, outline: list[Part] | None) -> Any:
    if not outline or any(holes for _, holes in outline):
        return rle_to_coco(found.rle)
    return [ring.reshape(-1).tolist() for ring, _ in outline]


def _keypoints(found: DetectedObject) -> Json:
    """Those that are certain enough to be drawn."""
    if found.keypoints is None or not found.prediction.categories.has_keypoints(found.label):
        return {}
    values: list[float] = []
    for x, y, score in found.keypoints.tolist():
        seen = score > KEYPOINT_THRESHOLD
        values += [x - PIXEL_CENTRE, y - PIXEL_CENTRE, _SEEN] if seen else [0, 0, 0]
    return {"keypoints": values, "num_keypoints": values[2::3].count(_SEEN)}
