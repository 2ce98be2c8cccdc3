"""`maskrcnn check`: counts, faults, and the settings it suggests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.data.formats.scenes import SCENES, picture

from maskrcnn.cli.suggestions import ObjectStatistics, suggest
from maskrcnn.presets import preset
from maskrcnn.settings import parse_assignments, update_config

Run = Callable[..., tuple[int, str, str]]


def test_a_good_data_set(run: Run, dataset: Path) -> None:
    code, out, err = run("check", dataset, "--preset", "nuclei")
    assert code == 0 and err == ""
    assert "instances_train.json: 2 images, 2 objects, 0 ignored regions, 0 faults" in out
    assert out.index("instances_train") < out.index("instances_val")
    assert "image width   64 to 64, median 64 pixels" in out
    assert "object side   22 to 22" in out  # the root of 24 x 20
    assert "class         round: 2 objects" in out and "class         long: 0 objects" in out
    assert "2 of 2 images decode" in out


def test_stuff_is_named_and_is_no_object(run: Run, dataset: Path) -> None:
    code, out, _ = run("check", dataset, "--set", "data.stuff=[round]")
    assert code == 0 and "2 images, 0 objects, 2 regions of stuff, 0 ignored regions" in out
    assert "class         round: 2 regions of stuff" in out and "class         long: 0 objects" in out
    code, _, err = run("check", dataset, "--set", "data.stuff=[sky]")
    assert code == 2 and "data.stuff: expected names of classes in" in err and "(round, long), got sky" in err


def test_keypoints_are_counted(run: Run, persons: Path) -> None:
    code, out, err = run("check", persons / "person_keypoints_train.json")
    assert code == 0 and err == ""
    assert "keypoints     3, of which 1 pairs of left and right; 2 objects have some" in out
    assert "  keypoints  " not in run("check", persons / "instances_train.json")[1]


def test_files_have_the_names_that_the_preset_gives_them(run: Run, persons: Path) -> None:
    kinds = ("person_keypoints", "instances")
    for chosen, name, other in (("keypoints", *kinds), ("tiny", *kinds[::-1])):
        _, out, err = run("check", persons, "--preset", chosen)
        assert f"{name}_train.json: 2 images" in out and f"{name}_val.json: 2 images" in out, err
        assert f"{other}_train.json" not in out
    (persons / "person_keypoints_train.json").unlink()
    (persons / "person_keypoints_val.json").unlink()
    code, _, err = run("check", persons, "--preset", "keypoints")
    assert code == 2 and "expected person_keypoints_train.json and person_keypoints_val.json" in err


def test_faults_are_named_and_give_exit_code_1(run: Run, dataset: Path) -> None:
    content = json.loads((dataset / "instances_train.json").read_text())
    content["annotations"][0]["category_id"] = 99
    (dataset / "instances_train.json").write_text(json.dumps(content))
    picture = dataset / "images" / "4.png"
    picture.write_bytes(picture.read_bytes()[:80])
    code, out, err = run("check", dataset)
    assert code == 1
    assert "annotation 1: unknown category" in err
    assert "4.png: broken or incomplete" in err
    assert "1 of 2 images decode" in out and "1 image without any" in out


def test_headers_only_does_not_decode(run: Run, dataset: Path) -> None:
    picture = dataset / "images" / "4.png"
    picture.write_bytes(picture.read_bytes()[:80])
    code, out, err = run("check", dataset, "--headers-only")
    assert code == 0 and err == "" and "decode" not in out


def test_files_that_do_not_belong_together(run: Run, dataset: Path) -> None:
    content = json.loads((dataset / "instances_train.json").read_text())
    content["categories"] = [{"id": 3, "name": "round"}]
    (dataset / "instances_val.json").write_text(json.dumps(content))
    code, _, err = run("check", dataset)
    assert code == 1
    assert "other categories than" in err and "2 images in" in err and "too, the same file (1.png)" in err


def test_settings_change_what_is_checked(run: Run, dataset: Path) -> None:
    file = dataset / "instances_train.json"
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1
    file.write_text(json.dumps(content))
    code, out, err = run("check", file)
    assert code == 1 and "all 2 annotations: crowds (iscrowd 1)" in err and "objects       0 to 0" in out
    code, out, err = run("check", file, "--set", "data.crowd=object")
    assert code == 0 and err == "" and "2 images, 2 objects, 0 ignored regions, 0 faults" in out


def test_many_classes_are_counted_together(run: Run, dataset: Path) -> None:
    file = dataset / "instances_train.json"
    content = json.loads(file.read_text())
    content["categories"] += [{"id": 100 + i, "name": f"class {i}"} for i in range(50_000)]
    file.write_text(json.dumps(content))
    code, out, _ = run("check", file)
    assert code == 0 and out.count("  class  ") == 101 and "class         and 49902 more with 0 objects" in out


def test_one_file_with_images_elsewhere(run: Run, dataset: Path, tmp_path: Path) -> None:
    moved = (dataset / "images").rename(tmp_path / "pictures")
    code, out, _ = run("check", dataset / "instances_val.json", "--images", moved)
    assert code == 0 and "instances_val.json: 2 images" in out and "train" not in out.split("suggested")[0]


def test_pictures_without_labels_are_counted(run: Run, dataset: Path) -> None:
    _, out, _ = run("check", dataset)
    assert "that no label names" not in out
    first, *_ = sorted((dataset / "images").iterdir())
    shutil.copy(first, dataset / "images/forgotten.png")
    code, out, err = run("check", dataset)
    assert code == 0 and err == "" and "1 picture that no label names, such as forgotten.png; left out" in out


@pytest.mark.parametrize(("scene", "other"), [("supervisely", "masks_human/a.png"), ("geojson", "thumbnails/a.png")])
def test_pictures_that_a_form_brings_itself_are_not_counted(run: Run, tmp_path: Path, scene: str, other: str) -> None:
    SCENES[scene][1](tmp_path)
    picture(tmp_path / other)
    code, out, _ = run("check", tmp_path)
    assert code == 0 and "that no label names" not in out


def test_pictures_of_unfinished_tasks_and_broken_ones_are_told_of_once(run: Run, tmp_path: Path) -> None:
    SCENES["label-studio"][1](tmp_path)
    (labels,) = tmp_path.rglob("*.json")
    tasks = json.loads(labels.read_text())
    for name in ("todo", "broken", "forgotten"):
        picture(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    todo, broken = ({"data": {"image": f"{name}.png"}, "annotations": []} for name in ("todo", "broken"))
    labels.write_text(json.dumps([*tasks, todo, {**broken, "annotations": [{"result": []}]}]))
    code, out, err = run("check", tmp_path)
    assert code == 1 and "skipped or not labelled yet" in err and "file cannot be read" in err
    assert "1 picture that no label names, such as forgotten.png" in out


def test_what_took_the_last_object_is_named(run: Run, tmp_path: Path) -> None:
    """Where a picture is in its label file alone, "no classes" says nothing that helps."""
    shape = {"label": "cat", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    content = {"shapes": [shape], "imagePath": "a.png", "imageData": "iVBORw0KGgo=", "imageHeight": 9, "imageWidth": 9}
    (tmp_path / "a.json").write_text(json.dumps(content))
    code, _, err = run("check", tmp_path)
    assert code == 2 and "picture is in the label file alone" in err


@pytest.mark.parametrize("target", ["absent", "."])
def test_nothing_to_check(run: Run, tmp_path: Path, target: str) -> None:
    code, _, err = run("check", tmp_path / target)
    assert code == 2 and err.count("\n") == 1 and str(tmp_path) in err


def test_suggestions_cure_what_they_complain_about() -> None:
    """A setting that a rule suggests must satisfy the rule."""
    statistics = ObjectStatistics(sides=np.geomspace(9, 120, 500), most_objects=400)
    config = preset("small")
    suggestions = suggest(statistics, config)
    assert {s.assignment.split("=")[0] for s in suggestions} == {
        "box_head.max_detections",
        "evaluation.max_detections",
        "rpn.pre_nms_top_k_test",
        "rpn.post_nms_top_k_test",
        "anchors.sizes",
    }
    better = update_config(config, parse_assignments(s.assignment for s in suggestions), "test")
    assert suggest(statistics, better) == []
    assert better.box_head.max_detections == 500 and better.anchors.sizes[0] == (12.0,)


@pytest.mark.parametrize(("side", "stays"), [(1, False), (44, True)])
def test_suggestions_are_those_for_the_model_that_a_training_starts_from(
    run: Run, dataset: Path, side: int, stays: bool
) -> None:
    """A bundled model keeps the anchors that it learned with, whether or not they fit."""
    for split in ("train", "val"):
        file = dataset / f"instances_{split}.json"
        content = json.loads(file.read_text())
        content["categories"] = [{"id": 3, "name": "nucleus"}]
        for entry in content["annotations"]:
            entry |= {"bbox": [0, 0, side, side], "area": side**2}
            entry["segmentation"] = [[0, 0, side, 0, side, side, 0, side]]
        file.write_text(json.dumps(content))
    for data in (dataset, dataset / "instances_val.json"):
        code, out, _ = run("check", data, "--headers-only")
        assert code == 0 and "of the preset" not in out and "--set 'anchors.sizes" not in out
        assert ("the settings of the bundled model nuclei fit these objects" in out) is not stays
        assert ("anchors.sizes stays, though objects measure 587 to 587 input pixels" in out) is stays
    code, out, _ = run("check", dataset, "--preset", "light")
    assert code == 0 and "suggested changes to the preset light" in out and "--set 'anchors.sizes" in out


def test_a_class_map_decides_which_model_is_compared_with(run: Run, dataset: Path) -> None:
    names = dataset.parent / "names.txt"
    names.write_text("round: nucleus\nlong: null\n")
    _, out, _ = run("check", dataset, "--headers-only")
    assert "the preset light" in out and "bundled" not in out
    _, out, _ = run("check", dataset, "--headers-only", "--class-map", names, "--set", "rpn.post_nms_top_k_test=2")
    assert "suggested changes to the bundled model nuclei:" in out and "the setting is 2)" in out


def test_nothing_is_suggested_without_need() -> None:
    assert suggest(ObjectStatistics(np.geomspace(40, 300, 50), 20), preset("small")) == []
    assert suggest(ObjectStatistics(np.zeros(0), 0), preset("small")) == []
    crowded = ObjectStatistics(np.geomspace(1, 5, 50), 3000)
    assert suggest(crowded, preset("small")) and suggest(crowded, preset("fcn")) == [], "FCN has no part for objects"


def test_a_huge_image_is_read_in_windows(run: Run, tmp_path: Path) -> None:
    """15,000 x 14,000 pixels in a sparse file: above the limit of what is decoded as a whole, and shown as a part."""
    tifffile = pytest.importorskip("tifffile", reason="needs tifffile")
    (tmp_path / "images").mkdir()
    pixels = tifffile.memmap(tmp_path / "images" / "slide.tif", shape=(14_000, 15_000), dtype=np.uint8)
    pixels[9000:9100, 12_000:12_080] = 200
    del pixels
    square = [12_000, 9000, 12_080, 9000, 12_080, 9100, 12_000, 9100]
    good = {"category_id": 1, "bbox": [12_000, 9000, 80, 100], "segmentation": [square], "iscrowd": 0}
    wrong = {**good, "bbox": [11_000, 8000, 5, 5]}
    content = {
        "images": [{"id": 1, "file_name": "slide.tif", "width": 15_000, "height": 14_000}],
        "annotations": [{"id": i, "image_id": 1, **entry} for i, entry in enumerate((good, wrong), start=1)],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    options = ("--preset", "nuclei", "--headers-only", "--output", tmp_path / "checked")
    code, out, err = run("check", tmp_path, *options)
    assert code == 1
    assert "1 image, 2 objects" in out and "anchors.sizes" not in out, "objects have the size that tiles show"
    assert err.count("fault: ") == 1 and "bbox" in err
    assert (tmp_path / "checked" / "check.html").read_text().count("data:image/jpeg") == 2
