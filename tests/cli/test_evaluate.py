"""`maskrcnn evaluate`: where the data lies, and what is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.config import DataConfig
from maskrcnn.config.data import DATA_PATHS
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.presets import preset
from maskrcnn.structures import Categories, Detections, KeypointSchema
from maskrcnn.weights import load_model, save_model

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("way", ["data", "files"])
def test_metrics_predictions_and_report(run: Run, dataset: Path, model_file: Path, tmp_path: Path, way: str) -> None:
    where = ["--data", dataset]
    if way == "files":
        pictures = (dataset / "images").rename(tmp_path / "pictures")
        where = ["--annotations", dataset / "instances_val.json", "--images", pictures]
    output = tmp_path / "out"
    code, out, err = run("evaluate", "--model", model_file, *where, "--output", output, "--max-detections", "50")
    assert code == 0, err
    assert "(maxDets) = 50" in out and str(output) in out
    metrics = json.loads((output / "metrics.json").read_text())
    assert {"mask", "box"} <= metrics.keys() and "AP50" in metrics["mask"]
    assert {r["image_id"] for r in json.loads((output / "predictions.json").read_text())} <= {3, 4}
    assert "<html" in (output / "report.html").read_text()


def test_labels_as_tools_write_them_measure_the_same(run: Run, dataset: Path, model_file: Path, tmp_path: Path) -> None:
    """Absolute names, ids that are text, points, no box: all that differs from COCO's form."""

    def measure() -> Any:
        code, _, err = run(
            "evaluate", "--model", model_file, "--data", dataset, "--output", tmp_path / "out", "--score-threshold", "0"
        )
        assert code == 0, err
        metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
        return metrics["mask"], metrics["box"]

    expected = measure()
    file = dataset / "instances_val.json"
    content = json.loads(file.read_text())
    for image in content["images"]:
        image |= {"id": f"image {image['id']}", "file_name": f"C:\\labels\\images\\{image['file_name']}"}
    for annotation in content["annotations"]:
        ring = annotation["segmentation"][0]
        annotation |= {
            "id": f"object {annotation['id']}",
            "image_id": f"image {annotation['image_id']}",
            "category_id": str(annotation["category_id"]),
            "segmentation": list(zip(ring[::2], ring[1::2], strict=True)),
        }
        del annotation["bbox"]
    file.write_text(json.dumps(content))
    assert measure() == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_model_file_decides_no_path(run: Run, dataset: Path, tmp_path: Path) -> None:
    """It may come from anywhere: that it names a pipe, a device or somebody's file opens nothing."""
    os.mkfifo(tmp_path / "pipe")
    for number, evil in enumerate((tmp_path / "pipe", "/dev/zero", "/etc/passwd")):
        names = dict.fromkeys(DATA_PATHS, str(evil))
        config, model = replace(preset("tiny"), data=DataConfig(**names)), tmp_path / f"{number}.safetensors"
        save_model(model, build_model(config, 1), config, Categories((3,), ("round",)), {})
        assert load_model(model).config.data == DataConfig()
        code, out, err = run("evaluate", "--model", model, "--data", dataset, "--output", tmp_path / f"out{number}")
        assert code == 0, err
        assert "results in" in out


def test_a_model_with_keypoints_looks_for_their_labels(run: Run, tmp_path: Path) -> None:
    config, schema = preset("keypoints_tiny"), KeypointSchema(("a", "b"))
    categories = Categories((1,), ("person",), (schema,))
    save_model(tmp_path / "m.safetensors", build_model(config, 1, 2), config, categories, {})
    (tmp_path / "instances_val.json").write_text("{}")
    files = ["--data", tmp_path, "--output", tmp_path / "out"]
    code, _, err = run("evaluate", "--model", tmp_path / "m.safetensors", *files)
    assert code == 2 and f"{tmp_path / 'person_keypoints_val.json'}: no such file" in err


def test_the_threshold_and_the_batch_size_arrive(
    run: Run, dataset: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    real = MaskRCNN.predict

    def predict(self: MaskRCNN, images: Sequence[Tensor], **options: Any) -> list[Detections]:
        batches.append(len(images))
        return real(self, images, **options)

    monkeypatch.setattr(MaskRCNN, "predict", predict)
    options = ["--score-threshold", "0.25", "--batch-size", "2", "--output", tmp_path / "out"]
    code, _, err = run("evaluate", "--model", model_file, "--data", dataset, *options)
    assert code == 0, err
    assert batches == [2]
    assert "score ≥ 0.25" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected either --data DIR"),
        (["--data", "x", "--annotations", "y"], "expected either --data DIR"),
        (["--data", "absent"], "absent"),
        (["--data", "x", "--score-threshold", "50"], "expected a number from 0 to 1, got 50"),
        (["--data", "x", "--batch-size", "0"], "expected a number of at least 1, got 0"),
    ],
)
def test_mistakes(
    run: Run, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("evaluate", "--model", model_file, *arguments)
    assert code == 2 and message in err and err.count("\n") == 1
    assert not Path("evaluation").exists(), "the folder of the results is made for results"


@pytest.mark.parametrize(
    ("kind", "results", "expected"), [("box", "fakebbox", 0.504581), ("mask", "fakesegm", 0.319545)]
)
def test_published_results_give_the_published_numbers(
    run: Run, shared: Path, tmp_path: Path, kind: str, results: str, expected: float
) -> None:
    """Sizes come from the annotations: none of these images is here."""
    folder = shared / "data" / "cocoapi_eval"
    code, out, err = run(
        "evaluate", "--predictions", folder / f"instances_val2014_{results}100_results.json",
        "--annotations", folder / "instances_val2014_100.json", "--output", tmp_path,
    )  # fmt: skip
    assert code == 0 and f"results in {tmp_path}: metrics.json" in out, err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert round(metrics[kind]["AP"], 6) == expected
    assert ("box" in metrics) == (kind == "box") and not (tmp_path / "report.html").exists()


def test_predictions_of_a_model_measure_as_the_model_did(
    run: Run, dataset: Path, model_file: Path, tmp_path: Path
) -> None:
    code, _, err = run("evaluate", "--model", model_file, "--data", dataset, "--output", tmp_path / "model")
    assert code == 0, err
    code, _, err = run(
        "evaluate", "--predictions", tmp_path / "model/predictions.json", "--data", dataset,
        "--images", dataset / "images", "--output", tmp_path / "again",
    )  # fmt: skip
    assert code == 0 and (tmp_path / "again/report.html").stat().st_size > 1000, err
    first, again = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("model", "again"))
    assert (first["mask"], first["box"]) == (again["mask"], again["box"])


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("[]", ("--model", "nuclei2", "--device", "cpu"), "without a model: leave out --model, --device"),
        ("[]", (), ""),
        ("{}", (), "found.json: predictions: expected a list of COCO results, got dict"),
        ("[{}]", (), "found.json: predictions: entry 0: expected the key"),
        ("nonsense", (), "found.json: expected JSON text"),
    ],
)
def test_results_that_cannot_be_measured(
    run: Run, dataset: Path, tmp_path: Path, content: str, options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "found.json").write_text(content)
    code, out, err = run(
        "evaluate", "--predictions", tmp_path / "found.json", "--data", dataset, "--output", tmp_path / "out", *options
    )
    assert code == (2 if message else 0) and message in err
    assert message or "AP" in out  # nothing found: all is missed


@pytest.mark.parametrize("place", ["data", "annotations"])
@pytest.mark.parametrize("named", [True, False])
def test_a_class_map_holds_for_labels_and_results(run: Run, tmp_path: Path, place: str, named: bool) -> None:
    """Without the cat, the dog's id is another: what was found is moved along."""
    boxes = {"cat": [2, 2, 10, 10], "dog": [20, 5, 12, 12], "owl": [40, 20, 9, 9]}
    objects = [{"image_id": 4, "category_id": 2 * i, "bbox": box} for i, box in enumerate(boxes.values(), start=1)]
    content = {
        "images": [{"id": 4, "file_name": "a.png", "width": 64, "height": 48}],
        "categories": [{"id": 2 * i, "name": name} for i, name in enumerate(boxes, start=1)],
        "annotations": [{"id": i, "iscrowd": 0, "area": 100, **o} for i, o in enumerate(objects, start=1)],
    }
    names = [{"category_name": name} if named else {} for name in boxes]
    found = [{"score": 0.9, **o, **name} for o, name in zip(objects, names, strict=True)]
    (tmp_path / "instances_val.json").write_text(json.dumps(content))
    (tmp_path / "found.json").write_text(json.dumps(found))
    (tmp_path / "map.yaml").write_text("cat: null\nowl: bird\n")
    where = {"data": tmp_path, "annotations": tmp_path / "instances_val.json"}[place]
    code, out, err = run(
        "evaluate", "--predictions", tmp_path / "found.json", f"--{place}", where, "--class-map",
        tmp_path / "map.yaml", "--output", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["per_class"]["box"]
    assert {row["name"]: round(row["AP"], 6) for row in rows} == {"dog": 1, "bird": 1}
    assert "1 prediction left out" in out
