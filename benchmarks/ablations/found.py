"""What a system finds in the images to measure on, and how good it is: AP of masks, and how well it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ablations.components import as_prediction, components, objects_of_pixels

from maskrcnn import Config
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.model import Model
from maskrcnn.prediction import Prediction
from maskrcnn.scoring import ground_truth_of, read_picture, true_label_map
from maskrcnn.structures.masks import ByteArray

SCORE = 0.5
"""What scores less is not counted."""


@dataclass(frozen=True)
class Quality:
    """Of all objects found in all images.

    Attributes:
        ap: of masks, IoU 0.5 to 0.95.
        ap50: at IoU 0.5.
        miscounted: objects too many or too few, class by class, on average per image.
        more: objects found more than there are, on average per image; less than 0 where they are fewer.
    """

    ap: float
    ap50: float
    miscounted: float
    more: float


def val_split(config: Config) -> LabelledImages:
    """The images to measure on, and their labels."""
    data = config.data
    return read_coco(Path(data.root) / data.val_annotations, Path(data.root) / data.images, check_files=True)


def find_regions(model: Model, picture: ByteArray) -> Prediction:
    """The objects of Mask R-CNN, down to the lowest score it reports."""
    config = model.config
    return model.predict(picture, config.box_head.score_threshold, max_detections=config.evaluation.max_detections)


FIND: dict[str, Callable[[Model, ByteArray], Prediction]] = {"fcn": objects_of_pixels, "mask_r_cnn": find_regions}


def found_by(model: Model, system: str, data: LabelledImages) -> Iterator[Prediction]:
    """What a trained system finds in each image."""
    for number in range(len(data.labels)):
        yield FIND[system](model, read_picture(data, number, model.config.data.max_pixels))


def parts_of_truth(data: LabelledImages) -> Iterator[Prediction]:
    """The connected parts of the true label maps: what an FCN without any error would find."""
    for number in range(len(data.labels)):
        label_map = true_label_map(data, number, data.categories)
        parts = components(label_map, None, len(data.categories))
        yield as_prediction(parts, label_map.shape, data.categories)  # type: ignore[arg-type]


def quality(data: LabelledImages, found: Iterable[Prediction], max_detections: int) -> Quality:
    """AP as every evaluation here, and the counts."""
    results: list[dict[str, Any]] = []
    wrong, more = 0, 0
    for number, prediction in enumerate(found):
        results += prediction.to_coco(int(data.labels.image_ids[number]))
        difference = _counted(prediction)
        difference.subtract(_true_counts(data, number))
        wrong += sum(map(abs, difference.values()))
        more += sum(difference.values())
    metrics = evaluate_coco(ground_truth_of(data), results, max_detections, ("mask",), SCORE)
    return Quality(metrics["mask"]["AP"], metrics["mask"]["AP50"], wrong / len(data.labels), more / len(data.labels))


def _counted(prediction: Prediction) -> Counter[int]:
    return Counter(prediction.labels[prediction.scores >= SCORE].tolist())


def _true_counts(data: LabelledImages, number: int) -> Counter[int]:
    objects = data.labels.objects(number)
    part = slice(objects.start, objects.stop)
    return Counter(data.labels.labels[part][~data.labels.ignore[part]].tolist())
