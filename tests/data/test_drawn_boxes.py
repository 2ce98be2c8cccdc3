"""Masks that are boxes are named, where nearly all are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.data.drawn_boxes import drawn_boxes
from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.rle_coco import rle_to_coco


def pixels(*corner: int) -> Any:
    """A rectangle of 4 x 5 pixels as run lengths, without the corner."""
    values = np.zeros((40, 60), np.uint8)
    values[3:8, 2:6] = 1
    if corner:
        values[corner] = 0
    return rle_to_coco(encode_rle(values))


RECTANGLE, OUTLINE = [[2, 3, 8, 3, 8, 8, 2, 8]], [[2, 3, 8, 3, 8, 8, 5, 9, 2, 8]]


def line(*masks: Any) -> str:
    annotations = [
        {
            "id": n,
            "image_id": 1,
            "category_id": n,
            **({"bbox": [2, 3, 6, 5]} if mask is None else {"segmentation": mask}),
        }
        for n, mask in enumerate(masks, start=1)
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": annotations,
        "categories": [{"id": n, "name": str(n)} for n in range(1, len(masks) + 1)],
    }
    return drawn_boxes(read_coco(content))


@pytest.mark.parametrize(
    ("box", "is_one"),
    [
        (RECTANGLE, True),
        ([[8, 8, 2, 8, 2, 3, 8, 3, 8, 8]], True),  # the other way round, from another corner, closed
        (pixels(), True),
        (pixels(3, 2), False),
        ([[5, 2, 9, 5, 5, 8, 1, 5]], False),  # turned
        ([[2, 3, 8, 3, 8, 8, 2, 8, 5, 5]], False),
        ([[2, 3, 8, 3, 8, 8, 8, 3]], False),
        ([*RECTANGLE, [20, 3, 25, 3, 25, 8, 20, 8]], False),
    ],
)
def test_what_is_a_box(box: Any, is_one: bool) -> None:
    assert ("20 of 20" in line(*[box] * 20)) == is_one


@pytest.mark.parametrize(("rectangles", "outlines", "said"), [(19, 0, ""), (19, 1, "19 of 20"), (38, 3, "")])
def test_nearly_all_of_enough_masks(rectangles: int, outlines: int, said: str) -> None:
    found = line(*[RECTANGLE] * rectangles, *[OUTLINE] * outlines)
    assert (said in found) if said else found == ""


def test_of_very_many_masks_some_are_looked_at() -> None:
    assert "834 of 834" in line(*[RECTANGLE] * 2500)


def test_objects_without_masks_do_not_count() -> None:
    assert line(*[None] * 30) == ""
    assert "20 of 20" in line(*[RECTANGLE] * 20, *[None] * 10)
