"""What is possible in results, but hardly meant, is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation.doubts import doubts_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of

Json = dict[str, Any]

BOXES = [(2, 3, 20, 10), (30, 4, 25, 20), (30, 30, 20, 15), (5, 20, 10, 25)]
"""In an image of 64 x 48; as corners three of them, read as corner and size, reach outside."""


def entry(box: tuple[float, ...], image_id: int = 1) -> Json:
    x, y, width, height = box
    ring = [x, y, x + width, y, x + width, y + height, x, y + height]
    return {"image_id": image_id, "category_id": 1, "bbox": list(box), "segmentation": [ring]}


def truth_of(num_images: int = 1, empty: int = 0) -> GroundTruth:
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(1, num_images + empty + 1)]
    annotations = [{"id": i, "iscrowd": 0, **entry(BOXES[0], i)} for i in range(1, num_images + 1)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    return ground_truth_of(read_coco(content))


def found(boxes: list[tuple[float, ...]] = BOXES) -> list[Json]:
    return [{**entry(box), "score": 0.9 - place / 10} for place, box in enumerate(boxes)]


def as_corners(result: Json) -> Json:
    x, y, width, height = result["bbox"]
    return {**result, "bbox": [x, y, x + width, y + height]}


def as_fractions(result: Json) -> Json:
    x, y, width, height = result["bbox"]
    return {**result, **entry((x / 64, y / 48, width / 64, height / 48))}


def doubled(result: Json) -> Json:
    return {**result, **entry(tuple(2 * value for value in result["bbox"]))}


def in_percent(result: Json) -> Json:
    return {**result, "score": 100 * result["score"]}


def test_nothing_is_said_of_usual_results() -> None:
    unclipped = [*BOXES, (-3, -2, 20, 20), (50, 30, 15.5, 20)]
    assert doubts_of(found(unclipped), truth_of(), ("mask", "box")) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (as_corners, "3 of 4 bbox reach outside their image: COCO's are x, y, width, height; are these x1, y1, x2, y2"),
        (doubled, "3 of 4 bbox reach outside their image: COCO's are x, y, width, height; are they of images of"),
        (as_fractions, "no coordinate of segmentation and bbox is above 1: COCO's are pixels"),
        (in_percent, "scores from 60 to 90 are no probabilities (0 to 1)"),
    ],
)
def test_numbers_of_another_kind(change: Callable[[Json], Json], line: str) -> None:
    (said,) = doubts_of([change(result) for result in found()], truth_of(), ("mask", "box"))
    assert said.startswith(line)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (
            [0.2, 0.3, 2, 0.9, 1, 1],
            ["no coordinate of keypoints is above 1: COCO's are pixels; are these fractions of"],
        ),
        ([0.2, 0.3, 2, 0.9, 1.5, 0], []),
        ([1.5, 0.3, 2, 0.9, 1, 0], []),
    ],
)
def test_fractions_as_keypoints(points: list[float], said: list[str]) -> None:
    """The third number of each, 2 where it is seen, is no coordinate."""
    image = {"id": 1, "file_name": "1.png", "width": 64, "height": 48}
    category = {"id": 1, "name": "worm", "keypoints": ["head", "tail"], "skeleton": [[1, 2]]}
    label = {"id": 1, "iscrowd": 0, **entry(BOXES[0]), "keypoints": [3, 4, 2, 20, 10, 2], "num_keypoints": 2}
    truth = ground_truth_of(read_coco({"images": [image], "annotations": [label], "categories": [category]}))
    results = [{"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": points}]
    lines = doubts_of(results, truth, ("keypoints",))
    assert len(lines) == len(said) and all(map(str.startswith, lines, said))


def test_entries_that_are_there_already() -> None:
    results = found()
    alike = [{**results[0], "bbox": [2, 3, 20, 11]}, {**results[0], "image_id": 2}]
    (said,) = doubts_of([*results, *alike, *results[:2], results[0]], truth_of(2), ("mask", "box"))
    assert said.startswith("3 of 9 predictions repeat an earlier one exactly")


def doubts_of_images(covered: Iterable[int], number: int) -> list[str]:
    """Of the images the last is empty, so that nothing is missed there."""
    results = [{**entry(BOXES[1], image_id), "score": 0.5} for image_id in covered]
    return doubts_of(results, truth_of(number, empty=1), ("box",))


@pytest.mark.parametrize(
    ("covered", "missing", "number"),
    [((), 3, 3), ((1,), 2, 3), ((1, 4), 2, 3), (range(3, 21), 2, 19), (range(4, 21), 3, 20)],
)
def test_images_with_objects_and_without_predictions(covered: Sequence[int], missing: int, number: int) -> None:
    said = f"no predictions in {missing} of {number} images with objects: all of these count as missed"
    assert doubts_of_images(covered, number) == [said]


@pytest.mark.parametrize(("covered", "number"), [((1, 2, 3), 3), ((1, 3), 3), ((1, 2, 3), 4), (range(3, 21), 20)])
def test_a_few_images_without_predictions_are_usual(covered: Sequence[int], number: int) -> None:
    """One, or a tenth: a threshold of scores leaves as many."""
    assert doubts_of_images(covered, number) == []
