"""A folder of labels in any known form is checked and trained on as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.formats.scenes import SCENES, coco, colour_masks, labelme, picture, yolo

from maskrcnn.build import build_model
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels
from maskrcnn.presets import preset
from maskrcnn.settings import read_settings
from maskrcnn.structures import Categories
from maskrcnn.weights import save_model

Run = Callable[..., tuple[int, str, str]]

SHORT = ("schedule.steps=1", "train.batch_size=1", "input.min_size=48", "data.num_workers=0")


def train(run: Run, data: Path, output: Path, *settings: str) -> tuple[int, str, str]:
    assignments = [word for setting in (*SHORT, *settings) for word in ("--set", setting)]
    return run("train", "--data", data, "--output", output, "--preset", "tiny", *assignments)


@pytest.mark.parametrize("scene", SCENES)
def test_check_says_the_form_and_goes_on(run: Run, tmp_path: Path, scene: str) -> None:
    form, make = SCENES[scene]
    make(tmp_path / "data")
    code, out, err = run("check", tmp_path / "data")
    assert (code, err) == (0, ""), err
    assert f"{tmp_path / 'data'}: labels of the form {form}\n" in out and "1 image, 2 objects" in out


def test_check_takes_a_file_of_another_form(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path)
    code, out, _ = run("check", tmp_path / "a.json")
    assert code == 0 and "labels of the form labelme" in out


def test_a_form_is_trained_on(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path / "data")
    code, out, err = train(run, tmp_path / "data", tmp_path / "run")
    assert code == 0, err
    assert "labels of the form labelme" in out + err and "nothing is evaluated" in out + err
    assert "one image cannot be divided" in err and not (tmp_path / "run/split").exists()
    assert (tmp_path / "run/last.safetensors").exists() or list((tmp_path / "run").glob("*.safetensors"))


@pytest.mark.parametrize("names", [{"cat": "nucleus"}, {"cat": "Cell", "dog": "Cell"}])
def test_labels_of_any_form_start_from_the_model_that_knows_them(
    run: Run, tmp_path: Path, names: dict[str, str]
) -> None:
    """By the names wanted; the settings are those of that model."""
    labelme(tmp_path / "data")
    (tmp_path / "names.yaml").write_text("".join(f"{old}: {new}\n" for old, new in {"dog": "null", **names}.items()))
    settings = [word for setting in SHORT for word in ("--set", setting)]
    for number, (data, *more) in enumerate([("data", "--class-map", tmp_path / "names.yaml"), ("data",)]):
        output = tmp_path / f"run{number}"
        code, _, err = run("train", "--data", tmp_path / data, "--output", output, *more, *settings)
        assert code == 0, err
        assert "no label says" not in err
        assert ("weights from nuclei" in err) == bool(more) and ("efficientnet_lite0" in err) != bool(more), err


def test_masks_without_names_are_told_how_to_start_better(run: Run, tmp_path: Path) -> None:
    form, make = SCENES["label-images"]
    make(tmp_path / "data")
    settings = [word for setting in SHORT for word in ("--set", setting)]
    code, _, err = run("train", "--data", tmp_path / "data", "--output", tmp_path / "run", *settings)
    assert code == 0 and f"{form}, " in err
    assert "no label says what the objects are" in err and "`object: nucleus` after --class-map" in err


def test_splits_of_a_form_are_those_of_the_training(run: Run, tmp_path: Path) -> None:
    yolo(tmp_path / "data")
    source = tmp_path / "data"
    for kind in ("images", "labels"):
        for file in (source / kind / "train").iterdir():
            target = source / kind / "val" / file.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    picture(source / "images/val/a.png")
    (source / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat, dog]\n")
    code, out, err = train(run, source, tmp_path / "run")
    assert code == 0, err
    assert "labels of the form yolo, train and val" in out + err
    record = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])
    assert record


def test_a_run_resumes_on_the_form_it_began_with(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path / "data")
    assert train(run, tmp_path / "data", tmp_path / "run")[0] == 0
    code, _, err = run("train", "--output", tmp_path / "run", "--resume")
    assert code == 0, err


def test_no_form_and_several_are_one_line(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "empty/a.png")
    for command in (
        ("check", tmp_path / "empty"),
        ("train", "--data", tmp_path / "empty", "--output", tmp_path / "run"),
    ):
        code, _, err = run(*command)
        assert code == 2 and "expected labels in a known form, found none; looked for" in err
        assert len(err.strip().splitlines()) == 1
    coco(tmp_path / "two")
    labelme(tmp_path / "two")
    code, _, err = run("check", tmp_path / "two")
    assert code == 2 and "found several: coco, labelme" in err


def several(folder: Path, count: int) -> None:
    """A LabelMe folder of several images of one scene, each with a content of its own."""
    labelme(folder)
    first = json.loads((folder / "a.json").read_text())
    for name in "bcdefghij"[: count - 1]:
        (folder / f"{name}.png").write_bytes((folder / "a.png").read_bytes() + name.encode())
        (folder / f"{name}.json").write_text(json.dumps(first | {"imagePath": f"{name}.png"}))


def test_labels_without_a_split_are_divided_once_and_for_all(run: Run, tmp_path: Path) -> None:
    """Written where it can be seen, read again to resume, and measured on later."""
    several(tmp_path / "data", 5)
    code, _, err = train(run, tmp_path / "data", tmp_path / "run", "train.checkpoint_every=1")
    assert code == 0, err
    assert "no images to measure on are named, so 1 of 5 are, drawn at random (--val 0.2, train.seed=0)" in err
    kept = {split: tmp_path / f"run/split/instances_{split}.json" for split in ("train", "val")}
    names = {split: [i["file_name"] for i in json.loads(file.read_text())["images"]] for split, file in kept.items()}
    assert sorted(names["train"] + names["val"]) == [f"{name}.png" for name in "abcde"] and len(names["val"]) == 1
    (tmp_path / "data/f.png").write_bytes((tmp_path / "data/a.png").read_bytes() + b"f")
    (tmp_path / "data/f.json").write_bytes((tmp_path / "data/a.json").read_bytes().replace(b"a.png", b"f.png"))
    (tmp_path / "names.yaml").write_text("cat: lion")
    late = ("--val", "0.5", "--set", "data.group_by=film", "--class-map", tmp_path / "names.yaml")
    code, _, err = run("train", "--output", tmp_path / "run", "--resume", "--set", "schedule.steps=2", *late)
    assert code == 0 and f"{kept['train']}: 4 images" in err, err
    said = "data.val_fraction, data.group_by, data.class_map: left out, since the run keeps its division of the labels"
    assert f"{said} ({tmp_path / 'run/split'})\n" in err
    settings = read_settings(tmp_path / "run/config.yaml")["data"]
    assert [settings[name] for name in ("val_fraction", "group_by", "class_map")] == [0.2, "", ""]
    (tmp_path / "data/f.json").unlink()
    where = ("--data", tmp_path / "data", "--output", tmp_path / "evaluation")
    code, out, err = run("evaluate", "--model", tmp_path / "run", *where)
    assert code == 0 and "measured on the images kept for it" in out, err


@pytest.fixture(scope="module")
def model_of_animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, and every class of the scenes."""
    config, names = preset("tiny"), ("cat", "dog", "object", "person", "car")
    path = tmp_path_factory.mktemp("model") / "animals.safetensors"
    save_model(path, build_model(config, 5), config, Categories((1, 2, 3, 4, 5), names), {})
    return path


def first_split(labels: LabelContent) -> list[str]:
    """As options; nothing of a form that names none."""
    return [word for split in labels.splits[:1] for word in ("--split", split)]


@pytest.mark.parametrize("scene", SCENES)
def test_every_form_is_measured_on(run: Run, tmp_path: Path, model_of_animals: Path, scene: str) -> None:
    form, make = SCENES[scene]
    make(tmp_path / "data")
    where = ("--data", tmp_path / "data", "--output", tmp_path / "out", *first_split(read_labels(tmp_path / "data")))
    code, out, err = run("evaluate", "--model", model_of_animals, *where)
    assert code == 0 and f"labels of the form {form}; measured on" in out, err
    assert "AP50" in json.loads((tmp_path / "out/metrics.json").read_text())["mask"]


@pytest.mark.parametrize("scene", SCENES)
def test_results_on_every_form_are_compared(run: Run, tmp_path: Path, scene: str) -> None:
    """A finds every object, B all but one."""
    form, make = SCENES[scene]
    make(tmp_path / "data")
    labels = read_labels(tmp_path / "data")
    keys = ("image_id", "category_id", "segmentation")
    found = [{**{key: entry[key] for key in keys}, "score": 0.9} for entry in labels.coco["annotations"]]
    for name, results in (("a", found), ("b", found[:-1])):
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    where = ("--data", tmp_path / "data", "--output", tmp_path / "out", *first_split(labels))
    code, out, err = run("compare", tmp_path / "a.json", tmp_path / "b.json", *where)
    assert code == 0 and (scene == "coco" or f"labels of the form {form}; measured on" in out), err
    numbers = json.loads((tmp_path / "out/comparison.json").read_text())["mask"]
    assert numbers["summary"][0]["A"] == 1 > numbers["summary"][0]["B"] and len(numbers["images"]) == 1
    assert (tmp_path / "out/comparison.html").read_text().count("data:image/jpeg") == 3, "truth, A, B"


def test_models_that_kept_different_images_are_not_compared_on_either(
    run: Run, tmp_path: Path, model_of_animals: Path
) -> None:
    several(tmp_path / "data", 5)
    kept = {}
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        code, _, err = train(run, tmp_path / "data", tmp_path / name, f"train.seed={seed}")
        assert code == 0, err
        kept[name] = json.loads((tmp_path / name / "split/instances_val.json").read_text())["images"]
    where = ("--data", tmp_path / "data", "--output", tmp_path / "out")
    assert kept["a"] == kept["c"] != kept["b"], "the seeds chosen draw different images"
    code, out, err = run("compare", tmp_path / "a", tmp_path / "c", *where)
    assert code == 0 and "measured on the images kept for it" in out, err
    code, _, err = run("compare", tmp_path / "a", tmp_path / "b", *where)
    assert code == 2 and "expected models that kept the same images" in err and err.count("\n") == 1


@pytest.fixture
def divided(tmp_path: Path, model_of_animals: Path) -> Path:
    """Ten images, and a model beside the division of its run: a to g to learn from, h to j to measure on."""
    several(tmp_path / "data", 10)
    images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate("abcdefghij")]
    (tmp_path / "run/split").mkdir(parents=True)
    (tmp_path / "run/best.safetensors").write_bytes(model_of_animals.read_bytes())
    for split, part in (("train", images[:7]), ("val", images[7:])):
        content = {"info": {"images": "data"}, "images": part, "categories": [], "annotations": []}
        (tmp_path / f"run/split/instances_{split}.json").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize(
    ("left", "options", "said", "measured"),
    [
        ("abcdefghij", (), "the images kept for it", 3),
        ("abcdefghij", ("--split", "val"), "the images kept for it", 3),
        ("abcdefghij", ("--split", "train"), "the images it has learned from", 7),
        ("abcdefgh", (), "the images kept for it; 2 images of these not in the labels", 1),
        ("bcdj", ("--split", "train"), "the images it has learned from; 4 images of these not in the labels", 3),
        ("abc", (), "all images, 3 of which the model has learned from", 3),
    ],
)
def test_what_a_run_has_kept_is_measured_on(
    run: Run, divided: Path, left: str, options: tuple[str, ...], said: str, measured: int
) -> None:
    for name in set("abcdefghij") - set(left):
        (divided / f"data/{name}.json").unlink()
        (divided / f"data/{name}.png").unlink()
    where = ("--data", divided / "data", "--output", divided / "out")
    code, out, err = run("evaluate", "--model", divided / "run", *where, *options)
    assert code == 0, err
    assert f"measured on {said}\n" in out and f"COCO metrics over {measured} images" in out


def test_a_coco_file_is_measured_on_by_what_the_run_has_kept(run: Run, divided: Path) -> None:
    code, _, err = run("convert", divided / "data", divided / "coco", "--to", "coco")
    assert code == 0, err
    where = ("--data", divided / "coco/instances.json", "--output", divided / "out")
    code, out, err = run("evaluate", "--model", divided / "run", *where)
    assert code == 0 and "measured on the images kept for it\n" in out, err


@pytest.mark.parametrize("model", ["run", "animals.safetensors"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_that_nobody_has_made(run: Run, divided: Path, model: str, split: str) -> None:
    """By a file of its own, without a run, a model knows of no split; a run knows of no test."""
    (divided / "animals.safetensors").write_bytes((divided / "run/best.safetensors").read_bytes())
    where = ("--data", divided / "data", "--output", divided / "out", "--split", split)
    code, _, err = run("evaluate", "--model", divided / model, *where)
    assert code == (2 if split == "test" or model != "run" else 0), err
    assert code == 0 or (f"no images for {split}: the labels name no splits" in err and err.count("\n") == 1)


def test_a_split_of_annotations_is_refused(run: Run, divided: Path) -> None:
    where = ("--annotations", divided / "data/a.json", "--split", "val")
    for command in (("evaluate", "--model", divided / "run"), ("compare", divided / "run", divided / "run")):
        code, _, err = run(*command, *where)
        assert code == 2 and "--split is for --data DIR" in err and err.count("\n") == 1


def test_what_one_model_has_learned_from_is_not_compared_on(run: Run, divided: Path) -> None:
    """The other run has kept none of these images, and learned from those that the first one kept."""
    shutil.copytree(divided / "run", divided / "other")
    shutil.copy(divided / "run/split/instances_val.json", divided / "other/split/instances_train.json")
    (divided / "other/split/instances_val.json").write_text('{"images": [], "annotations": [], "categories": []}')
    where = ("--data", divided / "data", "--output", divided / "out")
    code, _, err = run("compare", divided / "run", divided / "other", *where)
    assert code == 2 and "expected models that kept the same images" in err and err.count("\n") == 1


def test_a_label_file_is_measured_on_with_or_without_a_model(run: Run, tmp_path: Path, model_of_animals: Path) -> None:
    labelme(tmp_path / "data")
    where = ("--annotations", tmp_path / "data/a.json", "--output", tmp_path / "out")
    code, _, err = run("evaluate", "--model", model_of_animals, *where)
    assert code == 0, err
    code, _, err = run("evaluate", "--predictions", tmp_path / "out/predictions.json", *where)
    assert code == 0, err


def test_a_form_without_the_split_asked_for_says_which_it_has(run: Run, tmp_path: Path, model_of_animals: Path) -> None:
    yolo(tmp_path / "data")
    code, _, err = run("evaluate", "--model", model_of_animals, "--data", tmp_path / "data")
    assert code == 2 and "no images for val, found train; --split" in err


def test_classes_get_the_names_wanted(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path / "data")
    (tmp_path / "names.yaml").write_text("cat: animal\ndog: animal\n")
    code, out, _ = run("check", tmp_path / "data", "--class-map", tmp_path / "names.yaml")
    assert code == 0 and "animal: 2 objects" in out
    (tmp_path / "names.yaml").write_text("cat: null\n")
    code, _, err = run("convert", tmp_path / "data", tmp_path / "coco", "--class-map", tmp_path / "names.yaml")
    assert code == 0, err
    content = json.loads((tmp_path / "coco/instances.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "dog"}] and len(content["annotations"]) == 1
    code, out, _ = run("check", tmp_path / "coco/instances.json", "--class-map", rename(tmp_path, "dog: wolf"))
    assert code == 0 and "wolf: 1 objects" in out, "COCO files too"


def rename(folder: Path, text: str) -> Path:
    (folder / "names.yaml").write_text(text + "\n")
    return folder / "names.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cow: animal", "the class map names cow, found only cat, dog"),
        ("- cat", "names.yaml: expected a YAML file of class names"),
        ("cat: [1]", "got the name"),
    ],
)
def test_mistakes_in_a_class_map(run: Run, tmp_path: Path, text: str, message: str) -> None:
    labelme(tmp_path / "data")
    code, _, err = run("check", tmp_path / "data", "--class-map", rename(tmp_path, text))
    assert code == 2 and message in err and err.count("\n") == 1


def test_colours_may_be_named_by_a_file_elsewhere(run: Run, tmp_path: Path) -> None:
    colour_masks(tmp_path / "data")
    (tmp_path / "data/labelmap.txt").rename(tmp_path / "colours.txt")
    code, _, err = run("check", tmp_path / "data")
    assert code == 1 and "name the colours with --colours" in err
    code, out, err = run("check", tmp_path / "data", "--colours", tmp_path / "colours.txt")
    assert code == 0 and "labels of the form colour-masks" in out and "2 objects" in out, err
    code, _, err = run("check", tmp_path / "data", "--colours", tmp_path / "none.txt")
    assert code == 2 and "none.txt: no such file" in err
