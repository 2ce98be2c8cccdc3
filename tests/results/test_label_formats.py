"""Predictions written in every label format and read back by the readers of labels, and by pycocotools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.formats.table import labelled_images, read_labels
from maskrcnn.data.formats.writers.scene import KEYPOINTS, SCORES
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.masks.rle import decode_rle
from maskrcnn.prediction import Prediction
from maskrcnn.results.finished import Finished
from maskrcnn.results.forms import FORMS
from maskrcnn.structures import RLE
from results.conftest import CLASSES, PERSONS, SETTINGS, MakeRun, drawn

EXACT, OUTLINED = ("coco", "yolo"), ("polygons", "labelme", "label-studio", "cvat")


def read_back(form: str, finished: Finished, folder: Path) -> LabelledImages:
    FORMS[form](finished, folder)
    content = read_labels(folder)
    return labelled_images(content, check_files=True, need_masks=False, crowd="ignore")


def masks_by_class(data: LabelledImages, image: int) -> list[tuple[str, np.ndarray]]:
    labels, size = data.labels, data.labels.size(image)
    found = []
    for item in labels.objects(image):
        mask = labels.mask(item, size)
        assert mask is not None
        rle = mask if isinstance(mask, RLE) else polygon_to_rle(mask, size)
        found.append((data.categories.names[int(labels.labels[item])], decode_rle(rle)))
    return found


def is_within_a_pixel(one: np.ndarray, other: np.ndarray) -> bool:
    """They differ at pixels that touch the border of the first alone: half a pixel of tolerance, rounded to pixels."""
    kernel = np.ones((3, 3), np.uint8)
    inner, outer = cv2.erode(one, kernel, borderValue=0), cv2.dilate(one, kernel, borderValue=0)
    return bool((other[inner > 0] > 0).all() and (other[outer == 0] == 0).all())


def image_named(data: LabelledImages, stem: str) -> int:
    return next(i for i in range(len(data.labels)) if Path(data.labels.file_name(i)).stem == stem)


@pytest.mark.parametrize("form", [*EXACT, *OUTLINED])
@pytest.mark.parametrize("categories", [CLASSES, PERSONS], ids=["classes", "keypoints"])
def test_several_classes_and_keypoints_come_back(
    form: str, categories: object, make_run: MakeRun, tmp_path: Path
) -> None:
    finished = make_run(categories)
    data = read_back(form, finished, tmp_path / "out")
    assert set(data.categories.names) == set(finished.categories.names) and len(data.labels) == 2
    require_same(data, image_named(data, "a"), drawn(categories, Path("a.png")), form)
    assert len(data.labels.objects(image_named(data, "b"))) == 0, "an image without objects is there as well"


@pytest.mark.parametrize("form", [*EXACT, *OUTLINED])
def test_nuclei_come_back(form: str, nuclei: Prediction, run_of_nuclei: Finished, tmp_path: Path) -> None:
    require_same(read_back(form, run_of_nuclei, tmp_path / "out"), 0, nuclei, form)


def require_same(data: LabelledImages, image: int, found: Prediction, form: str) -> None:
    back = masks_by_class(data, image)
    assert [name for name, _ in back] == found.names
    for (_, mask), expected in zip(back, found.masks().view(np.uint8), strict=True):
        assert np.array_equal(mask, expected) if form in EXACT else is_within_a_pixel(expected, mask)


def test_label_images_give_shared_pixels_to_the_better_object(make_run: MakeRun, tmp_path: Path) -> None:
    finished = make_run(CLASSES)
    data = read_back("labels", finished, tmp_path / "out")
    numbers = drawn(CLASSES, Path("a.png")).label_image()
    back = [mask for _, mask in masks_by_class(data, image_named(data, "a"))]
    assert len(back) == 5 and all(np.array_equal(mask, numbers == n) for n, mask in enumerate(back, start=1))


def test_scores_and_ids_survive_in_coco(make_run: MakeRun, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    FORMS["coco"](make_run(PERSONS), tmp_path / "out")
    coco = COCO(str(tmp_path / "out" / "instances.json"))
    entries = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert [entry["id"] for entry in entries] == [1, 2, 3, 4, 5] and [i["id"] for i in coco.imgs.values()] == [1, 2]
    assert [entry["score"] for entry in entries] == pytest.approx([0.95, 0.85, 0.75, 0.65, 0.55])
    assert np.array_equal([coco.annToMask(entry) for entry in entries], drawn(PERSONS, Path("a.png")).masks())
    assert entries[0]["keypoints"] == [5, 6, 2, 9.75, 8, 2, 0, 0, 0] and entries[0]["num_keypoints"] == 2


def labelme_scores(folder: Path) -> list[float]:
    shapes = json.loads((folder / "a.json").read_text())["shapes"]
    return [float(shape["description"].removeprefix("score ")) for shape in shapes if shape["group_id"] is None]


def label_studio_scores(folder: Path) -> list[float]:
    (prediction,) = json.loads((folder / "tasks.json").read_text())[0]["predictions"]
    assert prediction["model_version"] == f"maskrcnn {SETTINGS.model[:12]}"
    assert prediction["score"] == pytest.approx(0.75), "the mean"
    return [region["score"] for region in prediction["result"] if not region["id"].endswith("-1")]


def cvat_scores(folder: Path) -> list[float]:
    root = ElementTree.parse(folder / "annotations.xml").getroot()
    named = {attribute.findtext("name") for attribute in root.findall("meta/task/labels/label/attributes/attribute")}
    assert named == {"score"}
    shapes = [shape for shape in root.findall("image/*") if not shape.get("group_id")]
    return [float(shape.findtext("attribute[@name='score']") or "nan") for shape in shapes]


@pytest.mark.parametrize(
    ("form", "scores"),
    [("labelme", labelme_scores), ("label-studio", label_studio_scores), ("cvat", cvat_scores)],
)
def test_scores_survive_in_labels_to_correct(
    form: str, scores: Callable[[Path], list[float]], make_run: MakeRun, tmp_path: Path
) -> None:
    """Of all but the second object, which has two parts."""
    loss = FORMS[form](make_run(CLASSES), tmp_path)
    assert not loss and scores(tmp_path) == pytest.approx([0.95, 0.75, 0.65, 0.55], abs=1e-4)


def test_an_image_without_objects_is_a_task_with_a_prediction(make_run: MakeRun, tmp_path: Path) -> None:
    FORMS["label-studio"](make_run(CLASSES), tmp_path)
    empty = json.loads((tmp_path / "tasks.json").read_text())[1]
    (prediction,) = empty["predictions"]
    assert "annotations" not in empty and (prediction["result"], prediction["score"]) == ([], 0)


def test_scores_that_yolo_cannot_say_are_counted(make_run: MakeRun, tmp_path: Path) -> None:
    assert FORMS["yolo"](make_run(CLASSES), tmp_path) == {SCORES: 5}


def test_boxes_alone_are_counted_where_a_form_cannot_say_them(make_run: MakeRun, tmp_path: Path) -> None:
    finished = make_run(CLASSES, masks=False)
    assert sum(FORMS["labelme"](finished, tmp_path / "labelme").values()) == 5
    assert not FORMS["cvat"](finished, tmp_path / "cvat") and not FORMS["coco"](finished, tmp_path / "coco")


@pytest.mark.parametrize("form", ["yolo", "labelme", "label-studio", "cvat"])
def test_keypoints_are_counted_where_a_form_cannot_say_them(form: str, make_run: MakeRun, tmp_path: Path) -> None:
    finished = make_run(PERSONS)
    FORMS["coco"](finished, tmp_path / "coco")
    entries = json.loads((tmp_path / "coco" / "instances.json").read_text())["annotations"]
    number = sum(entry.get("num_keypoints", 0) > 0 for entry in entries)
    assert number > 0 and FORMS[form](finished, tmp_path / form)[KEYPOINTS] == number
    assert KEYPOINTS not in FORMS[form](make_run(CLASSES), tmp_path / "classes")
