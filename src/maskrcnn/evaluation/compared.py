"""Truth and predictions as hotcoco takes them: made once, since drawing polygons takes time, and counted many times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import hotcoco
import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.fields import Fields
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.oks import compared_object, sigmas_of
from maskrcnn.evaluation.predictions import GEOMETRY, Result, of_type, polygons_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.masks.rle import rle_area
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.structures import RLE, Polygons, Size
from maskrcnn.structures.masks import IntArray

COCO_NAME: Mapping[IouType, str] = {"mask": "segm", "box": "bbox", "keypoints": "keypoints"}


@dataclass(frozen=True)
class Compared:
    """What one IoU type compares; ids of images are fields, those of categories labels.

    A field is an image, by its position in `truth.images`, or a part of one with very many objects (`fields.py`).

    Attributes:
        source: what messages call the labels.
        iou_type: what is compared.
        truth: the objects to find, and the regions to be ignored.
        found: the predictions, with this geometry alone.
        image_of: (F,) the position in `truth.images` of each field's image.
        num_images: N.
        num_classes: K.
        result_of: (D,) which of the results each detection is; hotcoco counts from 1.
        sigmas: of keypoints.
    """

    source: str
    iou_type: IouType
    truth: hotcoco.COCO
    found: hotcoco.COCO
    image_of: IntArray
    num_images: int
    num_classes: int
    result_of: IntArray
    sigmas: Sequence[float] = ()

    @classmethod
    def of(cls, truth: GroundTruth, predictions: Sequence[Result], iou_type: IouType, limit: int) -> Compared:
        """From COCO results, of which `limit` of an image and class count.

        Raises:
            UserError: hotcoco refuses a value.
        """
        content, found = _dataset(truth, iou_type), _results(truth, predictions, iou_type)
        sizes = [truth.size_of(image_id) for image_id in truth.images]
        fields = Fields.of(content["annotations"], found, sizes, iou_type, limit)
        images = content["images"]
        content["images"] = [{**images[image], "id": field} for field, image in enumerate(fields.image_of.tolist())]
        content["annotations"] = moved(content["annotations"], fields.of_truths)
        kept = moved([found[number] for number in fields.found.tolist()], fields.of_found)
        with refusals(truth.source, iou_type):
            dataset = hotcoco.COCO(content)
            results = dataset.load_res(kept)
        sigmas = sigmas_of(truth.keypoint_schema()) if iou_type == "keypoints" else ()
        numbers = len(truth.images), len(truth.categories)
        return cls(truth.source, iou_type, dataset, results, fields.image_of, *numbers, fields.found, sigmas)

    @property
    def is_divided(self) -> bool:
        """Whether an image is more than one field."""
        return len(self.image_of) > self.num_images

    def evaluator(self, *, federated: bool = False) -> hotcoco.COCOeval:
        """A fresh one; by LVIS's rules, if wanted."""
        evaluator = hotcoco.COCOeval(self.truth, self.found, COCO_NAME[self.iou_type], lvis_style=federated)
        if self.iou_type == "keypoints":
            evaluator.params.kpt_oks_sigmas = list(self.sigmas)
        return evaluator


def moved(entries: Sequence[Mapping[str, Any]], fields: IntArray) -> list[dict[str, Any]]:
    """The same entries in other images."""
    return [{**entry, "image_id": field} for entry, field in zip(entries, fields.tolist(), strict=True)]


@contextmanager
def refusals(source: str, iou_type: IouType) -> Iterator[None]:
    """What hotcoco refuses, in one line."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{source} and its predictions, {iou_type}: cannot be evaluated: {error}") from error


def _dataset(truth: GroundTruth, iou_type: IouType) -> dict[str, Any]:
    """The ground truth as COCO content; image ids become positions in `truth.images`, category ids labels."""
    images: list[dict[str, Any]] = []
    for index, image_id in enumerate(truth.images):
        height, width = truth.size_of(image_id)
        images.append({"id": index, "width": width, "height": height, **_looked_for(truth, image_id)})
    categories = [{"id": label, "name": str(label)} for label in range(len(truth.categories))]
    annotations = [
        {"id": index, **entry}  # COCO's own code takes an object with the id 0 for none
        for index, entry in enumerate(_objects(truth, iou_type), start=1)
    ]
    return {"images": images, "categories": categories, "annotations": annotations}


def _looked_for(truth: GroundTruth, image_id: int) -> dict[str, Any]:
    """LVIS's fields of an image record, where the labels have any."""
    if truth.federated is None:
        return {}
    absent, incomplete = (lists.get(image_id, ()) for lists in (truth.federated.absent, truth.federated.incomplete))
    return {"neg_category_ids": list(absent), "not_exhaustive_category_ids": list(incomplete)}


def _objects(truth: GroundTruth, iou_type: IouType) -> Iterator[dict[str, Any]]:
    """What is to be found, and the regions to be ignored, image by image."""
    labels, sizes = truth.labels, [truth.size_of(image_id) for image_id in truth.images]
    for position, number in truth.objects_compared(iou_type):
        geometry, area = _geometry(truth, number, sizes[position], iou_type)
        stated = float(labels.areas[number])
        yield {
            "image_id": position,
            "category_id": int(labels.labels[number]),
            "iscrowd": int(labels.ignore[number]),
            "area": area if math.isnan(stated) else stated,
            **geometry,
        }


def _geometry(truth: GroundTruth, number: int, size: Size, iou_type: IouType) -> tuple[dict[str, Any], float]:
    """What is compared of an object to find, and its area.

    COCO decides by the area whether an object is small, medium or large, and how near its keypoints must be met; where
    the labels state none, that of what is compared stands in for it.
    """
    labels = truth.labels
    box = labels.stated_boxes[number].tolist()
    if iou_type == "mask":
        rle = _mask(truth, number, size)
        x1, y1, x2, y2 = labels.boxes[number].tolist()
        return {"segmentation": rle_to_coco(rle), "bbox": [x1, y1, x2 - x1, y2 - y1]}, float(rle_area(rle))
    if iou_type == "keypoints":
        return compared_object(labels.keypoints_of(number), box, truth.keypoint_schema()), box[2] * box[3]
    return {"bbox": box}, box[2] * box[3]


def _mask(truth: GroundTruth, number: int, size: Size) -> RLE:
    """The pixels of an object; of one that is known by its box alone, those of the box.

    hotcoco could draw polygons itself, but walks along every edge, however long it is.
    """
    mask = truth.labels.mask(number, size)
    if mask is None:
        x1, y1, x2, y2 = truth.labels.boxes[number].double().tolist()
        mask = Polygons((np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]),))
    return polygon_to_rle(mask, size) if isinstance(mask, Polygons) else mask


def _results(truth: GroundTruth, predictions: Sequence[Result], iou_type: IouType) -> list[dict[str, Any]]:
    """Results with one geometry only: given a box as well, COCO would take a mask's area from the box."""
    key = GEOMETRY[iou_type]
    position = {image_id: index for index, image_id in enumerate(truth.images)}
    return [
        {
            "image_id": position[prediction["image_id"]],
            "category_id": truth.categories.label_of(prediction["category_id"]),
            "score": float(prediction["score"]),
            key: _without_polygons(prediction[key], truth.size_of(prediction["image_id"])),
        }
        for prediction in of_type(predictions, truth, iou_type)
    ]


def _without_polygons(value: Any, size: Size) -> Any:
    """Polygons as run lengths, for the reason given at `_mask`; anything else as it is."""
    if isinstance(value, list) and isinstance(value[0], list):
        return rle_to_coco(polygon_to_rle(polygons_of(value), size))
    return value
