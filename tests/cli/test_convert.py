"""`maskrcnn convert`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.formats.scenes import SCENES, labelme, picture, write, yolo

from maskrcnn.data.formats.writers import WRITERS

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("form", WRITERS)
def test_labelme_to_every_form_and_back_to_coco(run: Run, tmp_path: Path, form: str) -> None:
    labelme(tmp_path / "source")
    code, out, err = run("convert", tmp_path / "source", tmp_path / "written", "--to", form)
    assert (code, err) == (0, "")
    assert f"{tmp_path / 'source'}: labelme" in out and f"{form}, 1 image, 2 objects" in out
    code, out, _ = run("convert", tmp_path / "written", tmp_path / "coco")
    assert code == 0
    (file,) = (tmp_path / "coco").glob("instances*.json")
    content = json.loads(file.read_text())
    assert [entry["bbox"] for entry in content["annotations"]] == [[2, 3, 6, 5], [12, 5, 10, 14]]
    assert (tmp_path / "coco/images/a.png").read_bytes() == (tmp_path / "source/a.png").read_bytes()


@pytest.mark.parametrize("scene", SCENES)
def test_every_form_to_coco(run: Run, tmp_path: Path, scene: str) -> None:
    form, make = SCENES[scene]
    make(tmp_path / "source")
    code, out, err = run("convert", tmp_path / "source", tmp_path / "written")
    assert (code, err) == (0, "") and f": {form}\n" in out and "1 image, 2 objects" in out


def test_stuff_and_void_outlive_cocos_form_and_are_left_out_elsewhere(run: Run, tmp_path: Path) -> None:
    SCENES["panoptic"][1](tmp_path / "source")
    assert run("convert", tmp_path / "source", tmp_path / "coco")[0] == 0
    (file,) = (tmp_path / "coco").glob("instances*.json")
    content = json.loads(file.read_text())
    assert content["unlabelled"] == "void" and len(content["annotations"]) == 3
    assert [entry["isthing"] for entry in content["categories"]] == [1, 1, 0]
    for source in ("source", "coco"):
        code, out, _ = run("convert", tmp_path / source, tmp_path / f"{source}_yolo", "--to", "yolo")
        assert code == 0 and "1 region of stuff, which this form cannot say" in out
        labels = next((tmp_path / f"{source}_yolo").rglob("a.txt")).read_text()
        assert {line.split()[0] for line in labels.splitlines()} == {"0", "1"}


def test_faults_are_named_and_the_rest_is_written(run: Run, tmp_path: Path) -> None:
    yolo(tmp_path / "source")
    labels = tmp_path / "source/labels/train/a.txt"
    write(labels, labels.read_text() + "\n0 1 2\n")
    code, out, err = run("convert", tmp_path / "source", tmp_path / "written")
    assert code == 1 and "line 3: shape is malformed" in err and "1 image, 2 objects" in out


def test_the_total_is_that_of_what_is_written(run: Run, tmp_path: Path) -> None:
    """Of three objects one is known by its box alone, one has no pixel of its own."""
    square = {"image_id": 1, "category_id": 1, "segmentation": [[2, 3, 8, 3, 8, 8, 2, 8]]}
    box = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 5, 5]}
    annotations = [{"id": n, **entry} for n, entry in enumerate((square, {**square, "category_id": 2}, box), start=1)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    images = [{"id": 1, "file_name": "a.png"}]
    picture(tmp_path / "source/images/a.png")
    write(tmp_path / "source/x.json", {"images": images, "annotations": annotations, "categories": categories})
    _, out, _ = run("convert", tmp_path / "source", tmp_path / "written", "--to", "masks")
    assert "1 image, 3 objects" in out and out.endswith("masks, 1 image, 1 object\n")


def test_what_cannot_be_done_is_one_line(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path / "source")
    for arguments, message in (
        (("--to", "bmp"), "expected one of coco, yolo"),
        (("--from", "nothing"), "expected a form of labels"),
    ):
        code, _, err = run("convert", tmp_path / "source", tmp_path / "written", *arguments)
        assert code == 2 and message in err and not (tmp_path / "written").exists()
    code, _, err = run("convert", tmp_path / "source", tmp_path / "source")
    assert code == 2 and "new or an empty folder" in err
    code, _, err = run("convert", tmp_path / "nowhere", tmp_path / "written")
    assert code == 2 and "no such file or folder" in err
