"""What goes into an evaluation: the ground truth and the predictions, read and checked.

A ground truth with a few unusable annotations is still worth measuring against, so those are left out and counted;
a prediction that makes no sense is a mistake in the program that wrote it, hence an error.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.evaluation.forms import Annotation, is_box, is_decodable, is_list_of_numbers, is_mask, usual_form
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.json_values import id_number, is_number, load_json, whole_number
from maskrcnn.structures import Categories, KeypointSchema, Size

GEOMETRY: Mapping[IouType, str] = {"mask": "segmentation", "box": "bbox", "keypoints": "keypoints"}
"""The COCO key that holds what an IoU type compares."""


@dataclass(frozen=True)
class GroundTruth:
    """The objects to find.

    Attributes:
        source: the file, for messages.
        categories: the classes.
        images: image id -> COCO image entry with `width`, `height` and perhaps `file_name`, by ascending id.
        annotations: COCO annotations that refer to one of these images and classes.
        num_left_out: annotations that do not, to be warned of.
    """

    source: str
    categories: Categories
    images: Mapping[int, Mapping[str, Any]]
    annotations: tuple[Annotation, ...]
    num_left_out: int

    def without_classes(self, categories: Categories) -> GroundTruth:
        """The same objects, all of the one class of `categories`."""
        annotations = tuple({**a, "category_id": categories.ids[0]} for a in self.annotations)
        return replace(self, categories=categories, annotations=annotations)

    def size_of(self, image_id: int) -> Size:
        """(height, width) of an image, pixels."""
        entry = self.images[image_id]
        return int(entry["height"]), int(entry["width"])

    def of_type(self, iou_type: IouType, entries: Sequence[Annotation]) -> list[Annotation]:
        """The entries of classes that `iou_type` is about: all, or those that have keypoints."""
        if iou_type != "keypoints":
            return list(entries)
        return [e for e in entries if self.categories.has_keypoints(self.categories.label_of(e["category_id"]))]

    def with_geometry(self, iou_type: IouType) -> list[Annotation]:
        """The annotations that have what `iou_type` compares."""
        return [a for a in self.of_type(iou_type, self.annotations) if self._has_geometry(a, iou_type)]

    def keypoint_schema(self) -> KeypointSchema:
        """The keypoints to compare.

        Raises:
            UserError: the classes have none, or not all the same.
        """
        schema = self.categories.keypoints
        if schema is None:
            raise UserError(f"{self.source}: expected categories with keypoints, all the same, to compare them")
        return schema

    def is_usable(self, value: object, iou_type: IouType, image_id: int) -> bool:
        """Whether this has the form of what `iou_type` compares in an image."""
        if iou_type == "keypoints":
            return is_list_of_numbers(value, 3 * len(self.keypoint_schema()))
        return is_mask(value, self.size_of(image_id)) if iou_type == "mask" else is_box(value)

    def _has_geometry(self, annotation: Annotation, iou_type: IouType) -> bool:
        value: Any = annotation.get(GEOMETRY[iou_type])
        usable = self.is_usable(value, iou_type, annotation["image_id"]) and is_decodable(value)
        if iou_type != "keypoints" or (usable and any(visibility > 0 for visibility in value[2::3])):
            return usable
        return (usable or not value) and is_box(annotation.get("bbox"))  # none labelled: its box is ignored


def read_ground_truth(
    ground_truth: Path | Mapping[str, Any], images: Mapping[int, Mapping[str, Any]] | None = None
) -> GroundTruth:
    """Read and check a COCO instances file, or its content.

    Args:
        ground_truth: the file, or its content.
        images: the COCO image entries to use in place of the file's, by id, as a reader of the images has found them;
            it has told of the others, so their annotations are passed over.

    Raises:
        UserError: not COCO JSON, or an image entry without id, width or height.
    """
    source = str(ground_truth) if isinstance(ground_truth, Path) else "the ground truth"
    content = load_json(ground_truth) if isinstance(ground_truth, Path) else ground_truth
    entries, annotations, categories = (_entries(content, k, source) for k in ("images", "annotations", "categories"))
    classes = _read_categories(categories, source)
    checked = images or {int(_checked_image(entry, i, source)["id"]): entry for i, entry in enumerate(entries)}
    known = tuple(a for a in map(usual_form, annotations) if _refers_to_known(a, checked, classes))
    num_left_out = 0 if images else len(annotations) - len(known)
    return GroundTruth(source, classes, dict(sorted(checked.items())), known, num_left_out)


def read_predictions(
    predictions: Path | Sequence[Annotation], truth: GroundTruth, iou_types: Sequence[IouType]
) -> Sequence[Annotation]:
    """Read and check COCO results: a list of image_id, category_id, score, and bbox, segmentation and/or keypoints.

    Raises:
        UserError: naming the first entry that has a missing key, an unknown id or a senseless value.
    """
    source = str(predictions) if isinstance(predictions, Path) else "predictions"
    content = load_json(predictions) if isinstance(predictions, Path) else predictions
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise UserError(f"{source}: expected a list of COCO results, got {type(content).__name__}")
    for index, prediction in enumerate(content):
        problem = _problem_of(prediction, truth, iou_types)
        if problem:
            raise UserError(f"{source}: entry {index}: {problem}")
    return content


def _entries(content: Any, key: str, source: str) -> list[Mapping[str, Any]]:
    entries = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        raise UserError(f"{source}: expected COCO JSON with a list `{key}`; is this an instances file?")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise UserError(f"{source}: {key}[{index}]: expected an object with keys, got {entry!r:.60}")
    return entries


def _read_categories(entries: list[Mapping[str, Any]], source: str) -> Categories:
    for index, entry in enumerate(entries):
        if id_number(entry.get("id")) is None or not isinstance(entry.get("name"), str):
            raise UserError(f"{source}: categories[{index}]: expected an `id` and a text `name`")
    try:
        return Categories.from_coco({**entry, "id": id_number(entry["id"])} for entry in entries)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _checked_image(entry: Mapping[str, Any], index: int, source: str) -> Mapping[str, Any]:
    if any(whole_number(entry.get(key)) is None for key in ("id", "width", "height")):
        raise UserError(f"{source}: images[{index}]: expected whole numbers `id`, `width` and `height`")
    if entry["width"] <= 0 or entry["height"] <= 0:
        raise UserError(
            f"{source}: image {entry['id']}: expected a width and height above 0, "
            f"got {entry['width']} x {entry['height']}"
        )
    return entry


def _refers_to_known(annotation: Annotation, images: Mapping[int, object], categories: Categories) -> bool:
    return _is_among(annotation.get("image_id"), images) and _is_among(annotation.get("category_id"), categories.ids)


def _is_among(value: object, ids: Container[object]) -> bool:
    """Whether this is one of `ids`, and not true, false or something that cannot be looked up."""
    return is_number(value) and value in ids


def _problem_of(prediction: object, truth: GroundTruth, iou_types: Sequence[IouType]) -> str | None:
    """What is wrong with one COCO result, in words; None when it is good."""
    if not isinstance(prediction, Mapping):
        return f"expected an object with keys, got {prediction!r:.60}"
    of_all_classes = {GEOMETRY[t] for t in iou_types if t != "keypoints"}
    missing = {"image_id", "category_id", "score", *of_all_classes} - prediction.keys()
    if missing:
        return f"expected the key{'s' * (len(missing) > 1)} {', '.join(sorted(missing))}"
    image_id, category_id, score = (prediction[k] for k in ("image_id", "category_id", "score"))
    if not _is_among(image_id, truth.images):
        return f"image_id {image_id!r:.40} is not among the images of {truth.source}"
    if not _is_among(category_id, truth.categories.ids):
        return f"category_id {category_id!r:.40} is not among the categories of {truth.source}"
    if not is_number(score):
        return f"expected a finite number as score, got {score!r:.40}"
    return _problem_of_geometry(prediction, truth, iou_types)


def _problem_of_geometry(prediction: Annotation, truth: GroundTruth, iou_types: Sequence[IouType]) -> str | None:
    image_id = prediction["image_id"]
    for iou_type in iou_types:
        value = prediction.get(GEOMETRY[iou_type])
        if truth.of_type(iou_type, [prediction]) and not truth.is_usable(value, iou_type, image_id):
            return f"expected {_EXPECTED[iou_type]} as {GEOMETRY[iou_type]}, got {_outline(value)}" + (
                f" in an image of (height, width) {list(truth.size_of(image_id))}" if iou_type == "mask" else ""
            )
    return None


def _outline(value: object) -> str:
    """A value in few characters; of an RLE, what matters is its size."""
    return f"an RLE of size {value.get('size')}" if isinstance(value, Mapping) else f"{value!r:.60}"


_EXPECTED: Mapping[IouType, str] = {
    "mask": "an RLE or polygons",
    "box": "[x, y, width, height]",
    "keypoints": "three numbers for each keypoint of the class",
}
