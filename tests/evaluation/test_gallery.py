from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from maskrcnn.evaluation import evaluate_coco
from maskrcnn.evaluation.gallery import make_gallery
from maskrcnn.evaluation.gallery_page import error_section
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.structures.large_image import LargeImage, WholeImage


@pytest.mark.parametrize("kind", ["mask", "box"])
def test_each_image_is_read_once_for_all_its_pictures(
    kind: Any, truth: GroundTruth, predictions: list[dict[str, Any]], hostile_name: str
) -> None:
    metrics = evaluate_coco(truth, predictions, 5, (kind,), explain=True)
    read: Counter[int] = Counter()

    def load(image_id: int) -> LargeImage:
        read[image_id] += 1
        return WholeImage(np.full((40, 60, 3), 80, np.uint8))

    gallery = make_gallery(metrics, truth, predictions, load)
    assert read == {1: 1, 2: 1}
    assert [e.image.image_id for e in (*gallery.worst, *gallery.best)] == [1, 2]
    captions = {name: [picture.caption for picture in own] for name, own in gallery.errors.items()}
    assert captions == {"background": [f"found {hostile_name} 0.80"], "missed": [f"true {hostile_name}, 100 pixels"]}
    page = error_section(gallery.errors)
    assert page.count("<figure") == 2 and "<script>" not in page and "Missed: an object" in page


def test_predictions_below_the_threshold_are_not_drawn(truth: GroundTruth, predictions: list[dict[str, Any]]) -> None:
    metrics = evaluate_coco(truth, predictions, 5, ("mask",), score_threshold=0.95)
    gallery = make_gallery(metrics, truth, predictions, lambda _: WholeImage(np.full((40, 60, 3), 80, np.uint8)))
    assert len(gallery.worst[0].prediction) < len(gallery.worst[0].truth) and not gallery.errors
    assert error_section(gallery.errors) == ""
