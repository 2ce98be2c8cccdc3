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
from maskrcnn.evaluation.parts import Part
from maskrcnn.evaluation.pictures import LONGEST_SIDE, Example, choose_images, draw_example, draw_truth
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import Verdict, Verdicts, judge
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


def grey() -> ByteArray:
    return np.full((40, 60, 3), 80, np.uint8)


def drawn(image: ImageMetrics, truth: GroundTruth, predictions: list[Result]) -> Example:
    own = [found for found in predictions if found["image_id"] == image.image_id]
    return draw_example(image, truth, own, judge(truth, image.image_id, own, "mask", 100), Part.whole(grey()))


def unjudged(image: ImageMetrics, truth: GroundTruth, predictions: list[Result], pixels: ByteArray) -> Example:
    return draw_example(
        image, truth, predictions, Verdicts([Verdict() for _ in predictions], frozenset()), Part.whole(pixels)
    )


def test_truth_and_prediction_show_their_objects(
    metrics: Metrics, truth: GroundTruth, predictions: list[dict[str, Any]]
) -> None:
    images = metrics["mask"].images
    first, second, empty = (drawn(image, truth, predictions) for image in images)
    assert first.name.endswith("1.png") and second.image.image_id == 2
    objects, found, nothing = (decoded(a).astype(int) for a in (first.truth, first.prediction, empty.truth))
    assert nothing.std() < 3, "no object, nothing drawn"
    factor = objects.shape[0] / 40
    missed = slice(int(22 * factor), int(28 * factor)), slice(int(19 * factor), int(31 * factor))
    assert abs(objects[missed] - 80).max() > 30 > abs(found[missed] - 80).max()


@pytest.mark.parametrize(
    "segmentation",
    [None, [], [[1, 2, 3]], [["a"] * 6], {"size": [40, 60]}, {"size": [40, 60], "counts": "~~"}],
)
def test_an_object_without_usable_mask_is_drawn_as_its_box(
    metrics: Metrics, truth: GroundTruth, predictions: list[dict[str, Any]], segmentation: object
) -> None:
    broken = [{**predictions[0], "segmentation": segmentation}]
    example = unjudged(metrics["mask"].images[0], truth, broken, grey())
    assert decoded(example.prediction).std() > 3


def test_large_images_are_shrunk(metrics: Metrics, truth: GroundTruth) -> None:
    example = unjudged(metrics["mask"].images[2], truth, [], np.zeros((500, 3000, 3), np.uint8))
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
    image = ImageMetrics(1, 1, 0, 0, 1.0, 1.0)
    pictures = {}
    for name, keypoints in {"sure": [15, 20, 0.9, 45, 20, 0.9], "unsure": [15, 20, 0.01] * 2, "broken": [1]}.items():
        example = unjudged(image, truth, [{**entry, "score": 0.9, "keypoints": keypoints}], grey())
        pictures[name] = decoded(example.prediction).astype(int)
    middle = tuple(slice(int(side * 0.4), int(side * 0.6)) for side in pictures["sure"].shape[:2])
    assert abs(decoded(example.truth).astype(int)[middle] - 80).max() > 60 < abs(pictures["sure"][middle] - 80).max()
    assert abs(pictures["unsure"][middle] - 80).max() < 30 > abs(pictures["broken"][middle] - 80).max()


def one_class(num_objects: int) -> tuple[GroundTruth, list[dict[str, Any]]]:
    """Squares in a row, and each of them found."""
    boxes = [[2 + 19 * place, 10, 14, 20] for place in range(num_objects)]
    entries = [{"image_id": 1, "category_id": 1, "bbox": box, "segmentation": [ring_of(box)]} for box in boxes]
    content = {
        "images": [{"id": 1, "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"id": i, "iscrowd": 0, "area": 280, **entry} for i, entry in enumerate(entries, start=1)],
    }
    return ground_truth_of(read_coco(content)), [{**entry, "score": 0.9} for entry in entries]


def ring_of(box: list[int]) -> list[int]:
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def test_an_object_has_one_colour_in_truth_and_prediction() -> None:
    """In whatever order the detections come; only the labels' texts differ."""
    truth, found = one_class(3)
    example = drawn(ImageMetrics(1, 3, 0, 0, 1.0, 1.0), truth, found[::-1])
    left, right = (decoded(address).astype(int) for address in (example.truth, example.prediction))
    factor = left.shape[0] // 40
    places = [(slice(22 * factor, 27 * factor), slice((5 + 19 * k) * factor, (12 + 19 * k) * factor)) for k in range(3)]
    colours = [[picture[place].mean(axis=(0, 1)) for place in places] for picture in (left, right)]
    assert np.abs(np.subtract(*colours)).max() < 4
    assert min(np.abs(colours[0][a] - colours[0][b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 10
    assert decoded(draw_truth(Part.whole(grey()), 1, truth)).tolist() == decoded(example.truth).tolist()


def test_what_is_missed_or_wrong_is_not_filled_and_what_is_wrong_is_crossed() -> None:
    truth, found = one_class(2)
    wrong = {**found[1], "bbox": [40, 10, 14, 20], "segmentation": [ring_of([40, 10, 14, 20])]}
    example = drawn(ImageMetrics(1, 1, 1, 1, 1 / 3, 0.3), truth, [found[0], wrong])
    left, right = (decoded(address).astype(int) for address in (example.truth, example.prediction))
    factor = left.shape[0] // 40
    beside = [slice(26 * factor, 28 * factor), slice(24 * factor, 31 * factor)]
    assert np.abs(left[tuple(beside)] - 80).max() < 8, "missed: not filled"
    middle = right[18 * factor : 22 * factor, 45 * factor : 49 * factor]
    assert middle.min(axis=2).max() > 200 and np.abs(left[18 * factor : 22 * factor, 45 * factor :] - 80).max() < 8
