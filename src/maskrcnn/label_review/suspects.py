"""Where a model and the labels disagree: likely mistakes in the labels, and which images to label next.

A model that learned from the labels learned their mistakes too; what it still contradicts is worth a look. Boxes
are compared, as hotcoco does it: a confident detection where nothing is labelled, or over an object of another class;
and, counted here, a labelled object where nothing at all is detected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.formats.label_images import is_mask_name
from maskrcnn.data.formats.listing import Listing
from maskrcnn.dataset_prediction import predict_dataset
from maskrcnn.errors import UserError
from maskrcnn.evaluation.compared import moved
from maskrcnn.evaluation.fields import Fields
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import Predictor
from maskrcnn.structures import Categories
from maskrcnn.structures.labels import of_classes
from maskrcnn.structures.masks import FloatArray
from maskrcnn.text import counted, listed

NOT_LABELLED, OTHER_CLASS, NOT_FOUND = "found, and not labelled", "labelled as another class", "labelled, and not found"

CONFIDENT = 0.7
"""Score from which a detection contradicts a label."""
AWAY = 0.3
"""IoU below which an object has not been detected, by any detection above `FAINT`."""
FAINT = 0.1
_OVERLAP = 0.5
_NO_LIMIT = 1 << 30
_CELLS = 1 << 20
"""Of a table of all pairs: bounds its memory."""


@dataclass(frozen=True)
class Suspect:
    """A likely mistake.

    Attributes:
        kind: one of the three names above.
        image: the number of the image in the labels.
        object: the number of the labelled object; None where none is labelled.
        box: x1, y1, x2, y2, pixels.
        found: the class that was detected; empty where nothing was.
        score: of the detection, 0 where nothing was detected.
    """

    kind: str
    image: int
    object: int | None
    box: tuple[float, float, float, float]
    found: str
    score: float


@dataclass(frozen=True)
class Disagreement:
    """All suspects of a data set, the surest first; those of each kind together."""

    suspects: list[Suspect]
    results: dict[int, list[dict[str, Any]]]
    """Number of an image -> COCO results of what was found there, with the data set's class ids."""
    notes: list[str]
    """What was not compared."""


def disagreements(model: Predictor[Any], data: LabelledImages, say: Callable[[str], object] = print) -> Disagreement:
    """Compare what a model finds with the labels: objects of the classes that both know.

    Raises:
        UserError: no class in common.
    """
    things = _things(data.categories) & _things(model.categories)
    if not things:
        raise UserError(
            f"{data.report.source}: expected a class that the model knows, got none; classes are compared by name"
        )
    ids = dict(zip(data.categories.names, data.categories.ids, strict=True))
    compared, notes = _compared(data, things), _unknown(data, model.categories)
    results: dict[int, list[dict[str, Any]]] = {}
    skipped: list[str] = []
    limit = model.config.evaluation.max_detections
    for image, prediction in predict_dataset(model, data, limit, on_error=lambda _, error: skipped.append(str(error))):
        found = [entry for entry in prediction.to_coco(image) if entry["category_name"] in things]
        results[image] = [{**entry, "category_id": ids[entry["category_name"]]} for entry in found]
    if skipped:
        notes.append(f"{counted(len(skipped), 'image')} left out that cannot be read; the first: {skipped[0]}")
    for note in notes:
        say(note)
    suspects = [*_by_hotcoco(compared, results), *_not_found(compared, results)]
    return Disagreement(sorted(suspects, key=lambda suspect: (suspect.kind, -suspect.score)), results, notes)


def _things(categories: Categories) -> frozenset[str]:
    return frozenset(categories.names) - frozenset(categories.stuff_names)


def _compared(data: LabelledImages, things: frozenset[str]) -> LabelledImages:
    """The same, with objects of all other classes ignored: that a model does not find or name them says nothing."""
    others = [label for label, name in enumerate(data.categories.names) if name not in things]
    labels = data.labels
    return replace(data, labels=replace(labels, ignore=labels.ignore | of_classes(labels.labels, others)))


def _unknown(data: LabelledImages, model: Categories) -> list[str]:
    ours, theirs = frozenset(data.categories.names), frozenset(model.names)
    sides = {
        "model": [name for name in data.categories.names if name not in theirs],
        "labels": [name for name in model.names if name not in ours],
    }
    source = data.report.source
    return [f"{source}: classes unknown to the {side}, so not compared: {listed(n)}" for side, n in sides.items() if n]


def _by_hotcoco(data: LabelledImages, results: dict[int, list[dict[str, Any]]]) -> Iterator[Suspect]:
    """Confident detections without a label, or over an object of another class."""
    flat = [entry for found in results.values() for entry in found]
    if not flat:
        return
    images = list(results)
    content = _dataset(data, images)
    found = [_plain(entry, place) for place, own in enumerate(results.values()) for entry in own]
    fields = Fields.of(content["annotations"], found, [data.labels.size(image) for image in images], "box", _NO_LIMIT)
    sizes, image_of = content["images"], fields.image_of.tolist()
    content["images"] = [{**sizes[place], "id": field} for field, place in enumerate(image_of)]
    truth = hotcoco.COCO({**content, "annotations": moved(content["annotations"], fields.of_truths)})
    evaluator = hotcoco.COCOeval(truth, truth.load_res(moved(found, fields.of_found)), "bbox")
    if len(image_of) > len(images):  # of a huge image more than COCO's usual hundred are looked at
        evaluator.params.max_dets = [1, 10, _NO_LIMIT]
    evaluator.evaluate()
    for error in evaluator.image_diagnostics(_OVERLAP, CONFIDENT)["label_errors"]:
        entry = flat[error["dt_id"] - 1]
        box, kind = _corners(entry["bbox"]), OTHER_CLASS if error["type"] == "wrong_label" else NOT_LABELLED
        image = images[image_of[error["image_id"]]]
        if kind == NOT_LABELLED and _best_iou(np.array([box]), _boxes(data, image))[0] >= FAINT:
            continue  # over an ignored region
        number = None if error["gt_id"] is None else int(error["gt_id"]) - 1
        yield Suspect(kind, image, number, box, entry["category_name"], float(entry["score"]))


def _not_found(data: LabelledImages, results: dict[int, list[dict[str, Any]]]) -> Iterator[Suspect]:
    for image, found in results.items():
        seen = np.array([_corners(entry["bbox"]) for entry in found if entry["score"] >= FAINT]).reshape(-1, 4)
        numbers = [number for number in data.labels.objects(image) if not data.labels.ignore[number]]
        boxes = data.labels.boxes[numbers].double().numpy().reshape(-1, 4)
        for number, box, overlap in zip(numbers, boxes.tolist(), _best_iou(boxes, seen), strict=True):
            if overlap < AWAY:
                yield Suspect(NOT_FOUND, image, number, tuple(box), "", 0.0)


def _dataset(data: LabelledImages, images: Sequence[int]) -> dict[str, Any]:
    """COCO content; the ids of images are their places."""
    labels = data.labels
    ids = data.categories.ids
    sizes = [labels.size(image) for image in images]
    return {
        "images": [{"id": place, "height": height, "width": width} for place, (height, width) in enumerate(sizes)],
        "categories": [{"id": i, "name": name} for i, name in zip(ids, data.categories.names, strict=True)],
        "annotations": [
            {
                "id": number + 1,
                "image_id": place,
                "category_id": ids[int(labels.labels[number])],
                "bbox": labels.stated_boxes[number].tolist(),
                "area": float(labels.stated_boxes[number, 2:].prod()),
                "iscrowd": int(labels.ignore[number]),
            }
            for place, image in enumerate(images)
            for number in labels.objects(image)
        ],
    }


def _plain(entry: dict[str, Any], place: int) -> dict[str, Any]:
    return {"image_id": place, **{name: entry[name] for name in ("category_id", "bbox", "score")}}


def _boxes(data: LabelledImages, image: int) -> FloatArray:
    part = data.labels.objects(image)
    return np.asarray(data.labels.boxes[part.start : part.stop].double().numpy())


def _best_iou(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """(B,) the largest IoU of each box with one of the others."""
    if not len(others):
        return np.zeros(len(boxes))
    if len(boxes) > (rows := max(_CELLS // len(others), 1)):
        return np.concatenate([_best_iou(boxes[i : i + rows], others) for i in range(0, len(boxes), rows)])
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    overlap = (high - low).clip(0).prod(axis=2)
    areas = [(side[:, 2:] - side[:, :2]).prod(axis=1) for side in (boxes, others)]
    return np.asarray((overlap / (areas[0][:, None] + areas[1][None] - overlap).clip(1e-9)).max(axis=1))


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height


@dataclass(frozen=True)
class Unlabelled:
    """An image without labels.

    Attributes:
        name: its file.
        doubt: how unsure the model is of what it finds, 0 to 1: the mean of 1 - |2 score - 1| over its detections.
        count: detections.
    """

    name: str
    doubt: float
    count: int


def without_labels(splits: Sequence[LabelledImages]) -> list[str]:
    """Pictures in the images' folder that no split names, and that are no masks; and those without an object."""
    listing = Listing(splits[0].folder)
    empty = [name for split in splits for name in _empty(split) if listing.has(name)]
    return sorted({*empty, *_unnamed(listing, splits)})


def left_out(splits: Sequence[LabelledImages]) -> list[str]:
    """Pictures in the images' folder that no split names, not even in a fault, and that are no masks."""
    dropped = {name for split in splits for name in split.report.dropped}
    return [name for name in _unnamed(Listing(splits[0].folder), splits) if name not in dropped]


def _unnamed(listing: Listing, splits: Sequence[LabelledImages]) -> list[str]:
    named = {name for split in splits for name in split.labels.file_names}
    return [name for name in listing.pictures() if name not in named and not is_mask_name(name)]


def _empty(data: LabelledImages) -> list[str]:
    counts = data.labels.first_object.diff().tolist()
    return [data.labels.file_name(number) for number, count in enumerate(counts) if not count]


def label_next(model: Predictor[Any], folder: Path, names: Sequence[str]) -> list[Unlabelled]:
    """Images by what labelling them would teach: those with the most doubtful detections first."""
    readable = model.stream([folder / name for name in names], 1, FAINT, on_error=lambda *_: None)
    found = [_unlabelled(prediction, folder) for prediction in readable]
    return sorted(found, key=lambda item: (-item.doubt * item.count, item.name))


def _unlabelled(prediction: Prediction, folder: Path) -> Unlabelled:
    scores = np.asarray(prediction.scores, dtype=np.float64)
    doubt = float((1 - np.abs(2 * scores - 1)).mean()) if len(scores) else 0.0
    return Unlabelled(Path(str(prediction.source)).relative_to(folder).as_posix(), doubt, len(scores))
