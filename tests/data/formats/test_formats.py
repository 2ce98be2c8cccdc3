"""The same scene in every form gives the same objects, and what a form is comes out in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import AREAS, OTHER_NAMES, SCENES, coco, labelme, masks, picture, write

from maskrcnn.data.coco_annotations import Annotations, load_coco
from maskrcnn.data.formats import listing, table
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import FORMATS, is_coco_file, labelled_images, read_labels, recognise
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures.masks import ByteArray

Bitmaps = Callable[[LabelContent], list[tuple[str, ByteArray]]]


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_scene_in_every_form_is_the_same_objects(tmp_path: Path, scene: str, bitmaps: Bitmaps) -> None:
    form, make = SCENES[scene]
    make(tmp_path / "data")
    assert recognise(tmp_path / "data") == form
    content = read_labels(tmp_path / "data")
    assert content.report.counts.total() == 0, content.report.lines
    (image,) = content.coco["images"]
    assert (content.folder / image["file_name"]).is_file() and image.get("height", 24) == 24
    objects = bitmaps(content)
    assert [int(mask.sum()) for _, mask in objects] == list(AREAS.values())
    assert [name for name, _ in objects] == OTHER_NAMES.get(scene, ["cat", "dog"])
    for (_, mask), expected in zip(objects, masks().values(), strict=True):
        assert np.array_equal(mask, expected)


@pytest.mark.parametrize("scene", SCENES)
def test_a_file_too_large_to_be_parsed_at_once_is_of_the_same_form(
    tmp_path: Path, scene: str, bitmaps: Bitmaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, make = SCENES[scene]
    make(tmp_path / "data")
    as_small = bitmaps(read_labels(tmp_path / "data"))
    monkeypatch.setattr(listing, "load_coco", partial(load_coco, large=0))
    content = read_labels(tmp_path / "data")
    assert content.form == form and content.report.counts.total() == 0, content.report.lines
    assert isinstance(content.coco["annotations"], Annotations) == (form == "coco")
    as_large = bitmaps(replace(content, coco={**content.coco, "annotations": [*content.coco["annotations"]]}))
    assert [name for name, _ in as_large] == [name for name, _ in as_small]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(as_large, as_small, strict=True))
    monkeypatch.setattr(table, "LARGE", 0)
    files = sorted((tmp_path / "data").rglob("*.json"))
    assert all(is_coco_file(file) == (form == "coco") for file in files if recognises(file, form))


def recognises(file: Path, form: str) -> bool:
    try:
        return recognise(file) == form
    except UserError:
        return False


def state_size(folder: Path, height: int, width: int) -> None:
    """In MIT's LabelMe or SA-1B."""
    xml, sa_1b = folder / "Annotations/x/a.xml", folder / "a.json"
    if xml.is_file():
        size = f"<imagesize><nrows>{height}</nrows><ncols>{width}</ncols></imagesize></annotation>"
        xml.write_text(xml.read_text().replace("</annotation>", size))
    else:
        content = json.loads(sa_1b.read_text())
        content["image"] |= {"height": height, "width": width}
        write(sa_1b, content)


@pytest.mark.parametrize(("scene", "picture_file"), [("labelme-xml", "Images/x/a.png"), ("sa-1b", "a.jpg")])
def test_a_stated_size_that_is_wrong_is_of_no_account_beside_the_file(
    tmp_path: Path, scene: str, picture_file: str
) -> None:
    SCENES[scene][1](tmp_path)
    state_size(tmp_path, 48, 62)
    data = labelled_images(read_labels(tmp_path), check_files=True)
    assert data.labels.size(0) == (24, 31) and data.report.counts.total() == 0
    (tmp_path / picture_file).unlink()
    (image,) = read_labels(tmp_path).coco["images"]
    assert (image["height"], image["width"]) == (48, 62)


IN_FRACTIONS_OR_NO_FRAME = {"yolo", "via", "via-csv", "geojson", "open-images"}


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene not in IN_FRACTIONS_OR_NO_FRAME])
def test_labels_of_stored_pixels_of_a_turned_photograph_stay_on_them(
    tmp_path: Path, scene: str, bitmaps: Bitmaps
) -> None:
    """Their frame is known, from a mask or as stated, and is not that of the picture held upright."""
    _, make = SCENES[scene]
    make(tmp_path)
    content = read_labels(tmp_path)
    path = tmp_path / content.coco["images"][0]["file_name"]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (31, 24)).save(path, exif=exif)
    if scene == "labelme-xml":
        state_size(tmp_path, 24, 31)
    data = labelled_images(read_labels(tmp_path), check_files=True)
    assert data.labels.size(0) == (24, 31) and data.report.counts == {Fault.IMAGE_LABELLED_RAW: 1}
    for (_, mask), expected in zip(bitmaps(read_labels(tmp_path)), masks().values(), strict=True):
        assert np.array_equal(mask, expected)


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_folder_gives_the_same_content_each_time(tmp_path: Path, scene: str) -> None:
    SCENES[scene][1](tmp_path)
    first, second = (read_labels(tmp_path) for _ in range(2))
    assert json.dumps(first.coco) == json.dumps(second.coco)


def test_every_form_has_a_scene() -> None:
    assert {form for form, _ in SCENES.values()} == set(FORMATS)


def test_no_form_is_one_line_that_says_what_was_looked_for(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(UserError) as caught:
        recognise(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message and len(message.splitlines()) == 1
    assert all(form.looked_for in message for form in FORMATS.values())


def test_several_forms_are_one_line_that_names_them(tmp_path: Path) -> None:
    coco(tmp_path)
    labelme(tmp_path)
    with pytest.raises(UserError, match=r"found several: coco, labelme"):
        recognise(tmp_path)
    assert len(read_labels(tmp_path, "labelme").coco["annotations"]) == 2, "named, it is read"
    assert recognise(tmp_path / "result.json") == "coco", "a file is one form"


def test_an_unknown_form_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one of coco, labelme, yolo"):
        read_labels(tmp_path, "labelmee")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        recognise(tmp_path / "nowhere")


def test_splits_are_kept_apart(tmp_path: Path) -> None:
    """Roboflow's layout: a file of labels in the folder of each split."""
    for split in ("train", "valid"):
        coco(tmp_path / split)
        (tmp_path / split / "result.json").rename(tmp_path / split / "_annotations.coco.json")
    content = read_labels(tmp_path)
    assert content.splits == ["train", "val"]
    val = content.split("val")
    assert [image["file_name"] for image in val.coco["images"]] == ["valid/images/a.png"]
    assert [entry["image_id"] for entry in val.coco["annotations"]] == [val.coco["images"][0]["id"]] * 2
    assert val.coco["categories"] == content.coco["categories"]


def test_a_broken_file_among_others_is_reported(tmp_path: Path) -> None:
    labelme(tmp_path)
    write(tmp_path / "b.json", '{"shapes": [')
    write(tmp_path / "c.json", {"something": "else"})
    content = read_labels(tmp_path)
    assert len(content.coco["annotations"]) == 2
    lines = "\n".join(content.report.lines)
    assert "b.json: label file cannot be read" in lines and "c.json: file holds no labels of this form" in lines
