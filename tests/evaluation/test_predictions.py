from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.errors import UserError
from maskrcnn.evaluation.predictions import read_predictions
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of

IMAGE = {"id": 4, "width": 20, "height": 10, "file_name": "a.png"}
TRUTH: dict[str, Any] = {"images": [IMAGE], "categories": [{"id": 1, "name": "cell"}], "annotations": []}
RESULT = {
    "image_id": 4,
    "category_id": 1,
    "score": 0.5,
    "bbox": [0, 0, 2, 2],
    "segmentation": {"size": [10, 20], "counts": [0, 2, 198]},
}


def truth_of(content: dict[str, Any]) -> GroundTruth:
    return ground_truth_of(read_coco(content))


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("x", "expected an object with keys, got 'x'"),
        ({"image_id": 4}, "expected the keys bbox, category_id, score, segmentation"),
        ({**RESULT, "image_id": 5}, "image_id 5 is not among the images of the labels"),
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
        read_predictions([RESULT, result], truth_of(TRUTH), ("mask", "box"))  # type: ignore[list-item]
    assert one_line(error).startswith("predictions: entry 1: ") and message in str(error.value)


def test_results_from_a_file(tmp_path: Path) -> None:
    truth, path = truth_of(TRUTH), tmp_path / "predictions.json"
    path.write_text(json.dumps([RESULT]))
    assert read_predictions(path, truth, ("mask", "box")) == [RESULT]
    path.write_text(json.dumps({"annotations": []}))
    with pytest.raises(UserError, match=r"predictions\.json: expected a list of COCO results, got dict"):
        read_predictions(path, truth, ("box",))


def test_numbers_of_numpy_are_numbers() -> None:
    truth = truth_of(TRUTH)
    result = {**RESULT, "score": np.float32(0.5), "image_id": np.int64(4), "bbox": list(np.zeros(4, np.float32))}
    assert read_predictions([result], truth, ("mask", "box")) == [result]
