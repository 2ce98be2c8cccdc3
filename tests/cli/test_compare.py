"""`maskrcnn compare`: a model against results."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskrcnn import comparing, loading
from maskrcnn.comparing import compare_results
from maskrcnn.loading import load
from maskrcnn.model import Model
from maskrcnn.runtime.model import ExportedModel

Run = Callable[..., tuple[int, str, str]]


def perfect_results(labels: Path, path: Path) -> None:
    keys = ("image_id", "category_id", "bbox", "segmentation")
    entries = json.loads(labels.read_text())["annotations"]
    path.write_text(json.dumps([{**{key: entry[key] for key in keys}, "score": 0.9} for entry in entries]))


def test_a_model_and_results(run: Run, dataset: Path, model_file: Path, tmp_path: Path) -> None:
    perfect_results(dataset / "instances_val.json", tmp_path / "perfect.json")
    output = tmp_path / "out"
    code, out, err = run("compare", model_file, tmp_path / "perfect.json", "--data", dataset, "--output", output)
    assert code == 0, err
    assert "2 groups of images with objects are too few" in out and {path.name for path in output.iterdir()} == {
        "a", "comparison.html", "comparison.json",
    }  # fmt: skip
    assert json.loads((output / "comparison.json").read_text())["mask"]["summary"][0]["B"] == 1.0


def test_what_evaluate_says_and_leaves_out_holds_for_both(
    run: Run, dataset: Path, model_file: Path, tmp_path: Path
) -> None:
    """The second of two images cannot be read by the model: results that lack it as well are perfect."""
    labels, found = dataset / "instances_val.json", tmp_path / "found.json"
    content = json.loads(labels.read_text())
    labels.write_text(json.dumps({**content, "categories": [*content["categories"], {"id": 9, "name": "flat"}]}))
    perfect_results(labels, found)
    found.write_text(json.dumps([entry for entry in json.loads(found.read_text()) if entry["image_id"] == 3]))
    picture = dataset / "images" / "4.png"
    picture.write_bytes(picture.read_bytes()[:60])
    code, out, err = run("compare", model_file, found, "--data", dataset, "--output", tmp_path / "out")
    assert code == 0, err
    numbers = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert numbers["mask"]["summary"][0]["B"] == 1 and [image["image_id"] for image in numbers["mask"]["images"]] == [3]
    unreadable, unknown, *_, both = numbers["warnings"]
    assert unreadable.startswith(f"A: image left out: {picture}")
    assert unknown == "A: classes unknown to the model, so never found: flat"
    assert both == "left out of both: 1 image that A or B could not read"
    assert all(f"warning: {line}\n" in out for line in numbers["warnings"])


def test_one_model_at_a_time_is_in_memory(
    run: Run, dataset: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two may be more than a GPU holds; none is there while the results are compared."""
    networks: list[weakref.ref[object]] = []

    def require_none() -> None:
        assert not [network for network in networks if network() is not None]

    def load_alone(*arguments: str) -> Model | ExportedModel:
        require_none()
        model = load(*arguments)
        assert isinstance(model, Model)
        networks.append(weakref.ref(model.network))
        return model

    def compare_alone(*arguments: Any, **options: Any) -> object:
        require_none()
        return compare_results(*arguments, **options)

    monkeypatch.setattr(loading, "load", load_alone)
    monkeypatch.setattr(comparing, "compare_results", compare_alone)
    code, _, err = run("compare", model_file, model_file, "--data", dataset, "--output", tmp_path / "out")
    assert code == 0 and len(networks) == 2, err


@pytest.mark.parametrize("option", [("--device", "cpu"), ("--precision", "bfloat16")])
def test_what_one_of_two_models_cannot_do_is_said_before_the_other_predicts(
    run: Run, dataset: Path, model_file: Path, option: tuple[str, str]
) -> None:
    code, out, err = run("compare", model_file, "some.onnx", "--data", dataset, *option)
    assert code == 2 and not out and "a network and an exported model have none in common but auto and float32" in err


def test_where_the_labels_are_must_be_said(run: Run, model_file: Path, tmp_path: Path) -> None:
    code, _, err = run("compare", model_file, model_file)
    assert code == 2 and "expected either --data DIR" in err and err.count("\n") == 1


def test_a_wrong_folder_of_images_is_refused_and_none_is_said(run: Run, dataset: Path, tmp_path: Path) -> None:
    labels, found, alone = dataset / "instances_val.json", tmp_path / "found.json", tmp_path / "alone.json"
    perfect_results(labels, found)
    command = ("compare", found, found, "--output", tmp_path / "out", "--annotations")
    code, _, err = run(*command, labels, "--images", tmp_path / "nowhere")
    assert code == 2 and f"expected at least one usable image in {tmp_path / 'nowhere'}, got none" in err
    alone.write_text(labels.read_text())
    code, out, err = run(*command, alone)
    assert code == 0 and f"no pictures: there is no images/ beside {alone}" in out, err
    code, out, err = run(*command, labels)
    assert code == 0 and "no pictures" not in out, err
