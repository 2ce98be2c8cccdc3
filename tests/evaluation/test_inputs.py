from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.evaluation.inputs import read_ground_truth, read_predictions

IMAGE = {"id": 4, "width": 20, "height": 10, "file_name": "a.png"}
TRUTH: dict[str, Any] = {"images": [IMAGE], "categories": [{"id": 1, "name": "cell"}], "annotations": []}
RESULT = {
    "image_id": 4,
    "category_id": 1,
    "score": 0.5,
    "bbox": [0, 0, 2, 2],
    "segmentation": {"size": [10, 20], "counts": [0, 2, 198]},
}


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected"),
        (b"\xff\xfe{", "expected"),
        (b'{"images": [', "expected"),
        (b"[" * 100_000, "expected"),
        (b"[]", "a list `images`"),
        (b'{"images": [], "categories": []}', "a list `annotations`"),
        (b'{"images": [], "annotations": {}, "categories": []}', "a list `annotations`"),
        (b'{"images": [3], "annotations": [], "categories": []}', "images[0]: expected an object with keys, got 3"),
    ],
)
def test_files_that_are_no_ground_truth(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "truth.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_ground_truth(path)
    assert one_line(error).startswith(str(path)) and message in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.json: no such file"):
        read_ground_truth(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 4, "width": 20}]}, "images[0]: expected whole numbers `id`, `width` and `height`"),
        ({"images": [{**IMAGE, "id": True}]}, "images[0]"),
        ({"images": [{**IMAGE, "height": 10.5}]}, "images[0]"),
        ({"images": [{**IMAGE, "height": 0}]}, "image 4: expected a width and height above 0, got 20 x 0"),
        ({"categories": [{"id": 1}]}, "categories[0]: expected an `id` and a text `name`"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "id 1 appears twice"),
    ],
)
def test_broken_entries(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        read_ground_truth({**TRUTH, **changes})
    assert message in one_line(error)


def test_a_file_with_a_byte_order_mark_and_whole_floats(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({**TRUTH, "images": [{**IMAGE, "id": 4.0}]}).encode())
    truth = read_ground_truth(path)
    assert list(truth.images) == [4] and isinstance(next(iter(truth.images)), int)
    assert truth.size_of(4) == (10, 20) and truth.source == str(path)


def test_images_given_from_outside_replace_those_of_the_file() -> None:
    """A reader of the images has dropped image 4 and knows the true size of 5."""
    annotations = [{"image_id": 4, "category_id": 1}, {"image_id": 5, "category_id": 1}]
    content = {**TRUTH, "images": [IMAGE, {"id": 5, "width": "?"}], "annotations": annotations}
    truth = read_ground_truth(content, {5: {"width": 7, "height": 3}})
    assert list(truth.images) == [5] and truth.size_of(5) == (3, 7)
    assert truth.annotations == (annotations[1],) and truth.num_left_out == 0


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("x", "expected an object with keys, got 'x'"),
        ({"image_id": 4}, "expected the keys bbox, category_id, score, segmentation"),
        ({**RESULT, "image_id": 5}, "image_id 5 is not among the images of the ground truth"),
        ({**RESULT, "image_id": [4]}, "image_id [4] is not among the images"),
        ({**RESULT, "category_id": 9}, "category_id 9 is not among the categories"),
        ({**RESULT, "category_id": True}, "category_id True is not among the categories"),
        ({**RESULT, "score": math.nan}, "expected a finite number as score, got nan"),
        ({**RESULT, "score": 10**400}, "expected a finite number as score"),
        ({**RESULT, "score": "0.5"}, "expected a finite number as score"),
        ({**RESULT, "bbox": [1, 2, 3]}, "expected [x, y, width, height] as bbox, got [1, 2, 3]"),
        ({**RESULT, "bbox": [1, 2, 3, math.inf]}, "as bbox"),
        ({**RESULT, "segmentation": []}, "expected an RLE or polygons as segmentation, got []"),
        ({**RESULT, "segmentation": [[1, 2, 3, 4]]}, "as segmentation"),
        ({**RESULT, "segmentation": {"size": [20, 10], "counts": []}}, "got an RLE of size [20, 10] in an image of"),
        ({**RESULT, "segmentation": {"size": [10, 20]}}, "as segmentation"),
    ],
)
def test_results_that_make_no_sense(result: object, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_predictions([RESULT, result], read_ground_truth(TRUTH), ("mask", "box"))  # type: ignore[list-item]
    assert one_line(error).startswith("predictions: entry 1: ") and message in str(error.value)


def test_results_from_a_file(tmp_path: Path) -> None:
    truth, path = read_ground_truth(TRUTH), tmp_path / "predictions.json"
    path.write_text(json.dumps([RESULT]))
    assert read_predictions(path, truth, ("mask", "box")) == [RESULT]
    path.write_text(json.dumps({"annotations": []}))
    with pytest.raises(UserError, match=r"predictions\.json: expected a list of COCO results, got dict"):
        read_predictions(path, truth, ("box",))


def test_numbers_of_numpy_are_numbers() -> None:
    truth = read_ground_truth(TRUTH)
    result = {**RESULT, "score": np.float32(0.5), "image_id": np.int64(4), "bbox": list(np.zeros(4, np.float32))}
    assert read_predictions([result], truth, ("mask", "box")) == [result]
