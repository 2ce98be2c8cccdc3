"""Panoptic segmentation from training to files, through the command line, on street photographs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hotcoco.panoptic import pq_compute
from PIL import Image

import maskrcnn
from maskrcnn.cli.main import main
from maskrcnn.data.formats.panoptic import segment_ids
from maskrcnn.data.formats.table import open_labels, read_any
from maskrcnn.masks.rle import rle_area
from maskrcnn.structures import RLE

PAGE, FAMILY = ((Path(__file__).parents[1] / "docs" / name).read_text() for name in ("panoptic.md", "family.md"))
STUFF = ("facade", "street", "vegetation")


@pytest.fixture(scope="module")
def run(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A photograph to learn from and one to measure on, a quarter as wide, and what a training of two steps leaves."""
    folder = tmp_path_factory.mktemp("panoptic")
    (folder / "images").mkdir()
    for split, number in (("train", 1), ("val", 1)):
        content = json.loads((shared / "data" / "facades" / f"instances_{split}.json").read_text())
        images = content["images"][:number]
        for image in images:
            with Image.open(shared / "data" / "facades" / "images" / image["file_name"]) as picture:
                picture.resize((160, 160)).save(folder / "images" / image["file_name"])
            image |= {"height": 160, "width": 160}
        ids = {image["id"] for image in images}
        annotations = [_quarter(entry) for entry in content["annotations"] if entry["image_id"] in ids]
        (folder / f"instances_{split}.json").write_text(
            json.dumps({**content, "images": images, "annotations": annotations})
        )
    (folder / "quick.yaml").write_text(re.findall(r"```yaml\n(.*?)```", FAMILY, re.DOTALL)[0])
    options = [f"data.stuff=[{','.join(STUFF)}]", "schedule.steps=2", "backbone.name=resnet18"]
    command("train", "--preset", "panoptic", "--init", "none", "--data", folder, "--output", folder / "run",
            "--config", folder / "quick.yaml", *(part for option in options for part in ("--set", option)))  # fmt: skip
    yield folder


def _quarter(entry: dict[str, Any]) -> dict[str, Any]:
    rings = [[value / 4 for value in ring] for ring in entry["segmentation"]]
    return {**entry, "segmentation": rings, "bbox": [v / 4 for v in entry["bbox"]], "area": entry["area"] / 16}


def command(*arguments: str | Path) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def test_train_and_evaluate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = maskrcnn.load(run / "run", "cpu")
    assert sorted(model.categories.stuff_names) == sorted(STUFF) and model.config.data.stuff == STUFF
    command("evaluate", "--model", run / "run", "--data", run, "--output", run / "evaluation")
    out = capsys.readouterr().out
    assert re.search(r"panoptic +PQ +SQ +RQ +classes", out) and re.search(r"\nstreet +stuff", out)
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    assert {"mask", "box", "semantic", "panoptic"} <= metrics.keys()
    panoptic = metrics["panoptic"]
    assert all(0 <= panoptic[group]["PQ"] <= 1 for group in ("all", "things", "stuff"))
    rows = {row["name"]: row for row in panoptic["per_class"]}
    assert sorted(name for name, row in rows.items() if row["is_stuff"]) == sorted(STUFF)
    things = {row["name"] for row in metrics["per_class"]["mask"]}
    assert things == rows.keys() - set(STUFF), "no object of stuff is to be found"
    truths = {row["name"]: row["num_truths"] for row in metrics["per_class"]["mask"]}
    drawn = {name: row["true_positives"] + row["false_negatives"] for name, row in rows.items()}
    assert 0 < drawn["window"] <= truths["window"] and drawn["facade"] == 1, "all facades are one segment"
    report = (run / "evaluation" / "report.html").read_text()
    assert "Things and stuff" in report and "of the pixels are right" in report


def predict(run: Path, output: str, *more: str | Path) -> Path:
    command("predict", *more, "--model", run / "run", "--output", run / output, "--score-threshold", "0.05")
    return run / output


def files(folder: Path) -> dict[str, bytes]:
    """All but the rows, which have the time."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_predict_writes_what_our_reader_and_hotcoco_read(run: Path) -> None:
    """The same files when it is done again, and in two parts; the segments come back as they are in Python."""
    pictures = sorted((run / "images").iterdir())
    first = predict(run, "first", run / "images")
    assert files(predict(run, "second", run / "images")) == files(first)
    predict(run, "third", pictures[0])
    assert files(predict(run, "third", run / "images", "--resume")) == files(first)
    content = json.loads((first / "panoptic.json").read_text())
    assert [entry["file_name"] for entry in content["images"]] == [picture.name for picture in pictures]
    shutil.copytree(run / "images", run / "labels" / "images")
    shutil.copytree(first / "panoptic", run / "labels" / "panoptic")
    shutil.copy(first / "panoptic.json", run / "labels")
    data = read_any(open_labels(run / "labels"), None)
    assert sorted(data.categories.stuff_names) == sorted(STUFF)
    model = maskrcnn.load(run / "run", "cpu")
    assert not set(STUFF) & set(model.predict(pictures[0], score_threshold=0).names), "stuff is no object"
    for number, (picture, entry) in enumerate(zip(pictures, content["annotations"], strict=True)):
        prediction = model.predict(picture, score_threshold=0.05)
        merged = prediction.panoptic(0)
        with Image.open(first / "panoptic" / entry["file_name"]) as image:
            assert np.array_equal(segment_ids(np.asarray(image), ""), merged.numbers)
        assert [(s["id"], s["area"]) for s in entry["segments_info"]] == [(s.number, s.area) for s in merged.segments]
        read = [_class_and_area(data, item, number) for item in data.labels.objects(number)]
        names = model.categories.names
        assert sorted(read) == sorted((names[s.label], s.area) for s in merged.segments) and read
    counted = pq_compute(str(first / "panoptic.json"), str(first / "panoptic.json"))
    assert counted["All"]["pq"] == 1


def _class_and_area(data: Any, item: int, image: int) -> tuple[str, int]:
    mask = data.labels.mask(item, data.labels.size(image))
    assert isinstance(mask, RLE)
    return data.categories.names[int(data.labels.labels[item])], rle_area(mask)


def test_images_of_one_name_keep_their_segments_apart(run: Path, tmp_path: Path) -> None:
    """Also where one was predicted before the other was known."""
    paths = [tmp_path / folder / "x.png" for folder in "ab"]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        Image.fromarray(np.full((40, 50, 3), 100 * number, np.uint8)).save(path)
    predict(run, "same", paths[0])
    predict(run, "same", paths[1], "--resume")
    content = json.loads((run / "same" / "panoptic.json").read_text())
    assert {entry["file_name"] for entry in content["annotations"]} == {"x.png", "x_2.png"}
    assert {path.name for path in (run / "same" / "panoptic").iterdir()} == {"x.png", "x_2.png"}
    assert (run / "same" / "x.png").is_file() and (run / "same" / "x_2.png").is_file()


def test_the_code_of_the_page(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "panoptic").symlink_to(run / "run")
    shutil.copy(sorted((run / "images").iterdir())[0], tmp_path / "street.png")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], found)
    assert found["panoptic"].numbers.shape == (160, 160)


def test_an_overlay_shows_things_as_objects_and_stuff_in_what_they_leave(run: Path) -> None:
    model = maskrcnn.load(run / "run", "cpu")
    prediction = model.predict(sorted((run / "images").iterdir())[0], score_threshold=0.05)
    without = prediction[:0]
    assert prediction.overlay().shape == without.overlay().shape
    assert prediction.is_panoptic and without.panoptic().segments != ()
