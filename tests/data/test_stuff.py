"""Classes without objects: who says which they are, and who sees what of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.geometry import View
from maskrcnn.data.report import Fault
from maskrcnn.data.semantic import draw_semantic
from maskrcnn.data.stuff import with_stuff, with_stuff_of
from maskrcnn.data.targets import draw_targets
from maskrcnn.errors import UserError
from maskrcnn.evaluation import evaluate_coco
from maskrcnn.scoring import ground_truth_of
from maskrcnn.structures import Categories
from maskrcnn.structures.semantic import IGNORED

NAMES = ("car", "sky", "road")


def scene(*stuff: str, **more: Any) -> LabelledImages:
    """Of 10 x 20 pixels: a car on the road, sky of which the right half is a crowd; each class once."""
    boxes = [(1, 4, 6, 4, 4, 0), (2, 0, 0, 10, 4, 0), (2, 10, 0, 10, 4, 1), (3, 0, 6, 20, 4, 0)]
    annotations = [
        {"id": number, "image_id": 1, "category_id": category, "iscrowd": crowd, "bbox": [x, y, w, h]}
        | {"segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]}
        for number, (category, x, y, w, h, crowd) in enumerate(boxes, start=1)
    ]
    categories = [{"id": i, "name": n, "isthing": int(n not in stuff)} for i, n in enumerate(NAMES, start=1)]
    images = [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}]
    return read_coco({"images": images, "annotations": annotations, "categories": categories, **more})


def test_the_labels_or_the_settings_say_what_is_stuff() -> None:
    stated, named, both = scene("sky", "road"), with_stuff(scene(), ("road", "sky")), with_stuff(scene("sky"), ["road"])
    for data in (stated, named, both):
        assert data.categories.stuff == {1, 2} and data.categories.stuff_names == ("sky", "road")
        assert data.labels.stuff.tolist() == [False, True, True, True]
        assert data.labels.is_object.tolist() == [True, False, False, False]
        assert (data.report.num_objects, data.report.num_stuff, data.report.num_ignored) == (1, 2, 1)
        assert "1 object, 2 regions of stuff, 1 ignored region" in next(iter(data.report.summary()))
    assert scene().report.num_objects == 3 and "stuff" not in next(iter(scene().report.summary()))


def test_a_name_that_no_class_has_is_one_line() -> None:
    with pytest.raises(
        UserError, match=r"data\.stuff: expected names of classes in the labels \(car, sky, road\), got"
    ) as e:
        with_stuff(scene(), ("sky", "tree\n"))
    assert "\n" not in str(e.value)


def test_objects_are_things_and_pixels_are_both() -> None:
    """Stuff is neither object nor ignored region, also where it is a crowd; a label map has it, and its crowds too."""
    data, view = scene("sky", "road"), View.whole((10, 20))
    targets = draw_targets(data.labels, 0, view)
    assert targets.boxes.tolist() == [[4, 6, 8, 10]] and targets.labels.tolist() == [0]
    assert targets.masks is not None and len(targets.masks) == 1 and len(targets.crowd_boxes) == 0
    assert len(draw_targets(scene().labels, 0, view).crowd_boxes) == 1
    pixels = draw_semantic(data.labels, 0, view, np.arange(3, dtype=np.uint8), 3)
    assert Counter(pixels.ravel().tolist()) == {0: 16, 1: 40, IGNORED: 40, 2: 64, 3: 40}


def test_what_no_label_is_on_may_be_void() -> None:
    assert scene(unlabelled="void").has_void and not scene().has_void


def test_a_model_has_learned_what_is_stuff() -> None:
    """Its word counts for its classes; labels that know of stuff and say otherwise are a fault."""
    model = Categories((1, 2), ("car", "sky"), stuff=frozenset({1}))
    assert with_stuff_of(scene(), model).categories.stuff_names == ("sky",)
    assert with_stuff_of(scene(), model, ("road",)).categories.stuff_names == ("sky", "road")
    assert with_stuff_of(scene("sky", "road"), model).categories.stuff_names == ("sky", "road")
    agreed = with_stuff_of(scene("sky"), model)
    assert agreed.categories.stuff_names == ("sky",) and not agreed.report.counts
    other = with_stuff_of(scene("car", "road"), model)
    assert other.categories.stuff_names == ("sky", "road")
    assert other.report.counts == {Fault.STUFF_DISAGREES: 2} and "class car" in other.report.lines[0]


def test_stuff_is_not_to_be_found() -> None:
    """The car is; its class alone has a row, and what was said to be sky counts neither way."""
    truth = ground_truth_of(scene("sky", "road"))
    ring = [[4, 6, 8, 6, 8, 10, 4, 10]]
    result = {"image_id": 1, "category_id": 1, "bbox": [4, 6, 4, 4], "segmentation": ring, "score": 0.9}
    found = [result, {**result, "category_id": 2, "score": 0.95}]
    metrics = evaluate_coco(truth, found, iou_types=("mask", "box"))
    for numbers in metrics.by_type.values():
        assert numbers["AP"] == pytest.approx(1) and [row.name for row in numbers.classes] == ["car"]
        assert [(i.true_positives, i.false_positives, i.false_negatives) for i in numbers.images] == [(1, 0, 0)]
    assert truth.most_objects() == {1: 1}
    boxes_alone = replace(truth, labels=replace(truth.labels, mask_kinds=truth.labels.mask_kinds * truth.labels.stuff))
    assert truth.has_masks() and not boxes_alone.has_masks()
