from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.evaluation.forms import usual_form
from maskrcnn.evaluation.inputs import read_ground_truth
from maskrcnn.json_values import id_number

RING = [2, 3, 6, 3, 6, 8, 2, 8]
PLAIN: dict[str, Any] = {"id": 1, "image_id": 4, "category_id": 1, "segmentation": [RING], "bbox": [2, 3, 4, 5]}
RLE = {"size": [10, 20], "counts": [23, 5, 172]}


@pytest.mark.parametrize("annotation", [PLAIN, {**PLAIN, "segmentation": RLE}, {**PLAIN, "segmentation": None}, {}])
def test_the_usual_form_stays_the_same_object(annotation: dict[str, Any]) -> None:
    assert usual_form(annotation) is annotation


@pytest.mark.parametrize("segmentation", [RING, [[x, y] for x, y in zip(RING[::2], RING[1::2], strict=True)]])
def test_polygons_of_other_forms(segmentation: Any) -> None:
    assert usual_form({**PLAIN, "segmentation": segmentation}) == PLAIN


@pytest.mark.parametrize("box", [None, [], [1, 2, 3], "x", [1, 2, 3, None]])
def test_a_missing_box_is_that_of_the_mask(box: Any) -> None:
    assert usual_form({**PLAIN, "bbox": box}) == PLAIN
    assert usual_form({**PLAIN, "bbox": box, "segmentation": RLE})["bbox"] == [2, 3, 1, 5]
    for unusable in (None, [], [[1, 2]], {"size": [10, 20], "counts": [1]}):
        assert usual_form({**PLAIN, "bbox": box, "segmentation": unusable})["bbox"] == box


def test_ids_that_are_text() -> None:
    usual = usual_form({**PLAIN, "image_id": "img", "category_id": "1"})
    assert usual == {**PLAIN, "image_id": id_number("img"), "category_id": 1}


def test_metrics_do_not_depend_on_the_form() -> None:
    """The same objects as a labelling tool may write them: text ids, points, no box."""
    results = [{"image_id": 4, "category_id": 1, "score": 0.9, "bbox": [2, 3, 4, 4], "segmentation": [RING]}]
    image = {"id": 4, "width": 20, "height": 10}
    base = {"images": [image], "categories": [{"id": 1, "name": "cell"}], "annotations": [PLAIN]}
    odd = {"id": "x", "image_id": "4", "category_id": "1", "segmentation": RING}
    other = {**base, "categories": [{"id": "1", "name": "cell"}], "annotations": [odd]}
    expected, found = (
        evaluate_coco(read_ground_truth(content), results, 100, ("mask", "box"), 0.5) for content in (base, other)
    )
    assert found.to_dict() == expected.to_dict() and expected.to_dict()["mask"]["AP"] == pytest.approx(1)
