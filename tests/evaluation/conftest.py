"""A small evaluation with two classes, one of which has no object."""

from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation import Metrics, evaluate_coco
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of

HOSTILE = "<script>alert('x')</script> & \"q\""


def _object(x: int, y: int, image_id: int = 1, **more: object) -> dict[str, Any]:
    ring = [x, y, x + 10, y, x + 10, y + 10, x, y + 10]
    return {"image_id": image_id, "category_id": 1, "bbox": [x, y, 10, 10], "segmentation": [ring], **more}


@pytest.fixture
def hostile_name() -> str:
    """What a class or a file may be called."""
    return HOSTILE


@pytest.fixture
def truth() -> GroundTruth:
    """Three images: two with objects, one without; names as hostile as they come."""
    objects = [_object(0, 0), _object(20, 20), _object(5, 5, image_id=2)]
    return ground_truth_of(
        read_coco(
            {
                "images": [{"id": i, "width": 60, "height": 40, "file_name": f"{HOSTILE}{i}.png"} for i in (1, 2, 3)],
                "categories": [{"id": 1, "name": HOSTILE}, {"id": 2, "name": "absent"}],
                "annotations": [{"id": i, "iscrowd": 0, "area": 100, **o} for i, o in enumerate(objects, start=1)],
            }
        )
    )


@pytest.fixture
def predictions() -> list[dict[str, Any]]:
    """Image 1: one right, one wrong, one missed; image 2: right; image 3: nothing."""
    return [_object(0, 0, score=0.9), _object(40, 5, score=0.8), _object(5, 5, image_id=2, score=0.7)]


@pytest.fixture
def metrics(truth: GroundTruth, predictions: list[dict[str, Any]]) -> Metrics:
    return evaluate_coco(truth, predictions, max_detections=5)
