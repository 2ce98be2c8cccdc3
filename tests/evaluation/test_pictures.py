from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation import Metrics, TypeMetrics
from maskrcnn.evaluation.matching import best_operating_point
from maskrcnn.evaluation.metrics import ImageMetrics
from maskrcnn.evaluation.pictures import LONGEST_SIDE, choose_images, make_examples
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of
from maskrcnn.structures.masks import ByteArray


def image(image_id: int, ap50: float, ap: float = 0.0, *, empty: bool = False) -> ImageMetrics:
    return ImageMetrics(image_id, 0, 0, 0 if empty else 1, ap50, ap)


def chosen(images: list[ImageMetrics], num_worst: int, num_best: int) -> tuple[list[int], list[int]]:
    worst, best = choose_images(TypeMetrics({}, (), (), tuple(images), best_operating_point([])), num_worst, num_best)
    return [i.image_id for i in worst], [i.image_id for i in best]


def test_worst_first_and_best_first() -> None:
    images = [image(1, 0.5), image(2, 0.1), image(3, 0.9), image(4, 0.5, 0.2), image(5, 1.0, empty=True)]
    assert chosen(images, 2, 1) == ([2, 1], [3])
    assert chosen(images, 2, 9) == ([2, 1], [3, 4]), "no image appears in both"
    assert chosen(images[4:], 2, 2) == ([], [])


def test_few_images_are_shared_between_worst_and_best() -> None:
    images = [image(number, number / 10) for number in range(1, 11)]
    assert chosen(images[:1], 6, 4) == ([1], [])
    assert chosen(images[:4], 6, 4) == ([1, 2], [4, 3])
    assert chosen(images[:5], 6, 4) == ([1, 2, 3], [5, 4])
    assert chosen(images, 6, 4) == ([1, 2, 3, 4, 5, 6], [10, 9, 8, 7])


def decoded(address: str) -> ByteArray:
    prefix = "data:image/jpeg;base64,"
    assert address.startswith(prefix)
    return np.asarray(Image.open(BytesIO(b64decode(address.removeprefix(prefix)))).convert("RGB"))


def grey(image_id: int) -> ByteArray:
    return np.full((40, 60, 3), 80, np.uint8)


def test_truth_and_prediction_show_their_objects(
    metrics: Metrics, truth: GroundTruth, predictions: list[dict[str, Any]]
) -> None:
    images = metrics["mask"].images
    first, second, empty = make_examples(images, truth, predictions, 0.5, grey)
    assert first.name.endswith("1.png") and second.image.image_id == 2
    objects, found, nothing = (decoded(a).astype(int) for a in (first.truth, first.prediction, empty.truth))
    assert nothing.std() < 3, "no object, nothing drawn"
    factor = objects.shape[0] / 40
    missed = (slice(int(22 * factor), int(28 * factor)),) * 2
    assert abs(objects[missed] - 80).max() > 30 > abs(found[missed] - 80).max()


def test_predictions_below_the_threshold_are_not_drawn(
    metrics: Metrics, truth: GroundTruth, predictions: list[dict[str, Any]]
) -> None:
    (example,) = make_examples(metrics["mask"].images[:1], truth, predictions, 0.95, grey)
    assert decoded(example.prediction).std() < 3 < decoded(example.truth).std()


@pytest.mark.parametrize(
    "segmentation",
    [None, [], [[1, 2, 3]], [["a"] * 6], {"size": [40, 60]}, {"size": [40, 60], "counts": "~~"}],
)
def test_an_object_without_usable_mask_is_drawn_as_its_box(
    metrics: Metrics, truth: GroundTruth, predictions: list[dict[str, Any]], segmentation: object
) -> None:
    broken = [{**predictions[0], "segmentation": segmentation}]
    (example,) = make_examples(metrics["mask"].images[:1], truth, broken, 0.5, grey)
    assert decoded(example.prediction).std() > 3


def test_large_images_are_shrunk(metrics: Metrics, truth: GroundTruth) -> None:
    def wide(image_id: int) -> ByteArray:
        return np.zeros((500, 3000, 3), np.uint8)

    (example,) = make_examples(metrics["mask"].images[2:], truth, [], 0.5, wide)
    assert decoded(example.truth).shape[1] == LONGEST_SIDE


def test_keypoints_are_shown() -> None:
    """Those of the truth that are labelled, those of the prediction that it is sure of."""
    entry = {"image_id": 1, "category_id": 1, "bbox": [5, 5, 50, 30], "area": 1500, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "a", "keypoints": ["tip", "end"], "skeleton": [[1, 2]]}],
        "annotations": [{**entry, "id": 1, "keypoints": [15, 20, 2, 45, 20, 1]}],
    }
    truth = ground_truth_of(read_coco(content, need_masks=False))
    images = [ImageMetrics(1, 1, 0, 0, 1.0, 1.0)]
    pictures = {}
    for name, keypoints in {"sure": [15, 20, 0.9, 45, 20, 0.9], "unsure": [15, 20, 0.01] * 2, "broken": [1]}.items():
        (example,) = make_examples(images, truth, [{**entry, "score": 0.9, "keypoints": keypoints}], 0.5, grey)
        pictures[name] = decoded(example.prediction).astype(int)
    middle = tuple(slice(int(side * 0.4), int(side * 0.6)) for side in pictures["sure"].shape[:2])
    assert abs(decoded(example.truth).astype(int)[middle] - 80).max() > 60 < abs(pictures["sure"][middle] - 80).max()
    assert abs(pictures["unsure"][middle] - 80).max() < 30 > abs(pictures["broken"][middle] - 80).max()
