"""The page of `check`: what is in the data set, each fault drawn, what a model disagrees with; nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.cli.main import main
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.formats.table import coco_content, labelled_images
from maskrcnn.data.formats.writers.repaired import repaired
from maskrcnn.data.report import Fault
from maskrcnn.data.stuff import with_stuff
from maskrcnn.evaluation.parts import Part
from maskrcnn.label_review import suspects
from maskrcnn.label_review.drawing import draw_stated
from maskrcnn.label_review.page import Review, write_page
from maskrcnn.label_review.quirks import quirks_of
from maskrcnn.label_review.suspects import NOT_FOUND, NOT_LABELLED, OTHER_CLASS, disagreements, without_labels
from maskrcnn.structures import Categories

RING = [2, 3, 12, 3, 12, 13, 2, 13]
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, one of them with objects; a third one without labels."""
    (tmp_path / "images").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Callable[..., LabelledImages]:
    """The reader's labels of two images; `objects` are annotations of the first, without ids."""

    def make(*objects: dict[str, Any]) -> LabelledImages:
        images = [{"id": n + 5, "file_name": f"{n}.png", "height": 40, "width": 60} for n in range(2)]
        annotations = [{"id": n + 1, "image_id": 5, "category_id": 1} | entry for n, entry in enumerate(objects)]
        classes = [{"id": 1, "name": HOSTILE}, {"id": 4, "name": "dog"}]
        content = {"images": images, "annotations": annotations, "categories": classes}
        (folder / "labels.json").write_text(json.dumps(content))
        return read_coco(folder / "labels.json", folder / "images", check_files=True)

    return make


def square(x: float, y: float, **values: Any) -> dict[str, Any]:
    ring = [x, y, x + 10, y, x + 10, y + 10, x, y + 10]
    return {"segmentation": [ring], "bbox": [x, y, 10, 10], "iscrowd": 0} | values


def page(data: LabelledImages, folder: Path, **parts: Any) -> str:
    write_page(folder / "check.html", Review("<title>", [data], **parts))
    return (folder / "check.html").read_text()


def test_the_page_needs_nothing_else_and_escapes_what_files_say(
    read: Callable[..., LabelledImages], folder: Path
) -> None:
    html = page(read(square(2, 3)), folder, lines=[HOSTILE], suggestions=[f"--set {HOSTILE}"])
    assert "<script" not in html and "&lt;script&gt;" in html and "&lt;title&gt;" in html
    assert not re.search(r"(src|href)=(?!\"data:)", html) and "http" not in html
    assert html.count("<img") == 2 and "<svg" in html


def test_every_fault_of_an_annotation_is_drawn(read: Callable[..., LabelledImages], folder: Path) -> None:
    wrong = [
        square(2, 3, bbox=[30, 20, 10, 10]),
        square(2, 3, segmentation=[[1, 2]]),
        square(2, 3, area=5000),
        square(-500, -500),
        square(2, 3, category_id=9),
        square(2, 3, iscrowd=7, segmentation=[["a", None]]),
    ]
    data = read(*wrong)
    assert all(case.image_id == 5 for case in data.report.cases) and len(data.report.counts) >= 7
    html = page(data, folder)
    for fault in data.report.counts:
        _, _, section = html.partition(f"× {fault.value[0]}")
        assert "<img" in section.partition("<h3>")[0], fault


def test_a_case_without_an_image_is_a_line(read: Callable[..., LabelledImages], folder: Path) -> None:
    data = read(square(2, 3), square(2, 3, image_id=77))
    assert "unknown image" in page(data, folder)


@pytest.mark.parametrize(
    "entry",
    [{}, square(2, 3), square(-1e9, 1e9), {"bbox": [1e300, 0, 1, 1]}, {"segmentation": [[1, "x"], [[1, 2], [3, 4]]]}],
)
def test_anything_stated_can_be_drawn(entry: dict[str, Any]) -> None:
    assert draw_stated(Part.whole(np.zeros((40, 60, 3), np.uint8)), entry).startswith("data:image/jpeg")


def test_a_red_outline_lies_where_it_is_stated() -> None:
    import base64
    import io

    part = Part.whole(np.zeros((300, 300, 3), np.uint8))
    address = draw_stated(part, {"segmentation": [[0, 150, 299, 150, 299, 151, 0, 151]]})
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    assert picture[150, 100:200, 0].mean() > 150 and picture[100, :, 0].mean() < 20


class Stub:
    """A model that finds what it is told."""

    def __init__(self, *found: tuple[str, list[float], float]) -> None:
        self.found = found
        self.categories = Categories((1, 2), (HOSTILE, "dog"))
        self.config = SimpleNamespace(evaluation=SimpleNamespace(max_detections=100))

    def predictions(self, model: Any, data: Any, limit: int, **options: Any) -> Any:
        entries = [
            {"image_id": 0, "category_id": 7, "category_name": name, "bbox": box, "score": score}
            for name, box, score in self.found
        ]
        yield 0, SimpleNamespace(to_coco=lambda image: [entry | {"image_id": image} for entry in entries])
        yield 1, SimpleNamespace(to_coco=lambda image: [])


def test_what_a_model_disagrees_with(
    read: Callable[..., LabelledImages], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right: the first. Then one over another class, one where nothing is, a faint one, and one over a crowd."""
    crowd = square(45, 25, iscrowd=1)
    data = read(square(2, 3), square(20, 3), square(2, 25), crowd)
    model = Stub(
        (HOSTILE, [2, 3, 10, 10], 0.95),
        ("dog", [20, 3, 10, 10], 0.9),
        ("dog", [40, 3, 10, 10], 0.8),
        ("dog", [20, 25, 10, 10], 0.4),
        ("dog", [45, 25, 10, 10], 0.99),
    )
    monkeypatch.setattr(suspects, "predict_dataset", model.predictions)
    found = disagreements(model, data)  # type: ignore[arg-type]
    assert [(s.kind, s.object, s.found, s.score) for s in found.suspects] == [
        (NOT_LABELLED, None, "dog", 0.8),
        (OTHER_CLASS, 1, "dog", 0.9),
        (NOT_FOUND, 2, "", 0.0),
    ]
    html = page(data, folder, disagreements=[found])
    assert all(f"1 × {kind}" in html for kind in (NOT_LABELLED, OTHER_CLASS, NOT_FOUND))


@pytest.mark.parametrize("known", [("dog",), ("dog", "cat")])
def test_classes_that_one_side_does_not_know_are_no_disagreement(
    read: Callable[..., LabelledImages], folder: Path, monkeypatch: pytest.MonkeyPatch, known: tuple[str, ...]
) -> None:
    """Of three objects of a class unknown to the model one is found as a dog; of two dogs, one is."""
    dogs = [square(2, 25, category_id=4), square(20, 25, category_id=4)]
    data = read(square(2, 3), square(20, 3), square(40, 3), *dogs)
    model = Stub(("dog", [2, 3, 10, 10], 0.9), ("dog", [2, 25, 10, 10], 0.9), ("cat", [45, 25, 10, 10], 0.9))
    model.categories = Categories(tuple(range(len(known))), known)
    monkeypatch.setattr(suspects, "predict_dataset", model.predictions)
    lines: list[str] = []
    found = disagreements(model, data, lines.append)  # type: ignore[arg-type]
    assert [(suspect.kind, suspect.object) for suspect in found.suspects] == [(NOT_FOUND, 4)]
    assert [line.partition(": ")[2] for line in lines] == [
        f"classes unknown to the model, so not compared: {HOSTILE}",
        *["classes unknown to the labels, so not compared: cat"] * (len(known) - 1),
    ]
    html = page(data, folder, disagreements=[found])
    assert all(escape(line) in html for line in lines) and "1 × labelled, and not found" in html


def test_stuff_is_not_looked_for(read: Callable[..., LabelledImages], monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_stuff(read(square(2, 3), square(20, 25, category_id=4)), ["dog"])
    model = Stub((HOSTILE, [2, 3, 10, 10], 0.9))
    monkeypatch.setattr(suspects, "predict_dataset", model.predictions)
    assert disagreements(model, data).suspects == []  # type: ignore[arg-type]


def test_images_without_labels_are_those_to_label(read: Callable[..., LabelledImages]) -> None:
    assert without_labels([read(square(2, 3))]) == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ([square(2, 3, iscrowd=1)], "looks like CVAT: .*data.crowd=object"),
        ([{"bbox": [0.1, 0.1, 0.5, 0.5]}], "looks like a YOLO converter"),
    ],
)
def test_a_tool_is_named_by_its_quirk(
    read: Callable[..., LabelledImages], entries: list[dict[str, Any]], line: str
) -> None:
    (found,) = quirks_of(read(*entries))
    assert re.match(line, found)
    assert quirks_of(read(square(2, 3))) == []


def test_a_repaired_copy_has_no_faults_left(read: Callable[..., LabelledImages], folder: Path) -> None:
    read(square(2, 3, bbox=[30, 20, 10, 10], area=9999), square(20, 3), square(2, 3, category_id=9))
    before = (folder / "labels.json").read_bytes()
    assert main(["check", str(folder / "labels.json"), "--fix", str(folder / "fixed")]) == 1
    assert (folder / "labels.json").read_bytes() == before
    data = read_coco(folder / "fixed/instances.json", folder / "fixed/images", check_files=True)
    assert data.report.num_objects == 2 and not data.report.counts
    assert main(["check", str(folder / "labels.json"), "--fix", str(folder)]) == 2, "never over what is there"


def test_a_repaired_copy_joins_splits_and_keeps_keypoints(folder: Path) -> None:
    classes = [{"id": 3, "name": "person", "keypoints": ["a", "b"], "skeleton": []}]
    for number, split in enumerate(("train", "val")):
        entry = square(2, 3) | {"id": 1, "image_id": 1, "category_id": 3, "keypoints": [4, 5, 2, 0, 0, 0]}
        images = [{"id": 1, "file_name": f"{number}.png", "height": 40, "width": 60}]
        content = {"images": images, "annotations": [entry], "categories": classes}
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    files = [folder / f"instances_{split}.json" for split in ("train", "val")]
    scene = repaired([coco_content(file, folder / "images") for file in files], labelled_images)
    assert [image["split"] for image in scene.coco["images"]] == ["train", "val"]
    assert [entry["keypoints"] for entry in scene.coco["annotations"]] == [[4, 5, 2, 0, 0, 0]] * 2
    assert [entry["image_id"] for entry in scene.coco["annotations"]] == [1, 2]


def test_a_repaired_copy_keeps_what_groups_images_and_scales_objects(folder: Path) -> None:
    """In the second file the classes have other numbers, which the lists of LVIS follow."""
    for number, (split, ids) in enumerate({"train": (1, 2), "val": (7, 3)}.items()):
        classes = [{"id": i, "name": name, "supercategory": "x"} for i, name in zip(ids, ("cat", "dog"), strict=True)]
        said = {"modality": "MRI", "neg_category_ids": [ids[1]]}
        images = [{"id": 1, "file_name": f"{number}.png", "height": 40, "width": 60, **said}]
        entry = square(2, 3) | {"id": 1, "image_id": 1, "category_id": ids[0], "area": 90}
        content = {"images": images, "annotations": [entry], "categories": classes}
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    assert main(["check", str(folder), "--fix", str(folder / "fixed"), "--headers-only"]) in (0, 1)
    for split in ("train", "val"):
        written = json.loads((folder / f"fixed/instances_{split}.json").read_text())
        numbers = {entry["name"]: entry["id"] for entry in written["categories"]}
        assert [entry["supercategory"] for entry in written["categories"]] == ["x", "x"]
        assert [entry["area"] for entry in written["annotations"]] == [90]
        (image,) = written["images"]
        assert image["modality"] == "MRI" and image["neg_category_ids"] == [numbers["dog"]]


def test_check_writes_the_page(read: Callable[..., LabelledImages], folder: Path) -> None:
    data = read(square(2, 3))
    assert not data.report.counts[Fault.BOX_DISAGREES]
    assert main(["check", str(folder / "labels.json"), "--output", str(folder / "out")]) == 0
    assert "<html" in (folder / "out/check.html").read_text()
    assert main(["check", str(folder / "labels.json"), "--model", "nuclei"]) == 2


def test_names_that_differ_in_capitals_and_spaces_alone_are_shown(tmp_path: Path) -> None:
    Image.new("RGB", (31, 24)).save(tmp_path / "a.png")
    categories = [{"id": number, "name": name} for number, name in enumerate(("cell", "Cell ", "cells"), start=1)]
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": categories}
    (line,) = quirks_of(read_coco(content, tmp_path))
    assert line.startswith("the classes 'cell' and 'Cell ' differ") and "--class-map" in line
