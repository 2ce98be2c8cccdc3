"""`maskrcnn compare`: a model against results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_a_model_and_results(run: Run, dataset: Path, model_file: Path, tmp_path: Path) -> None:
    labels = json.loads((dataset / "instances_val.json").read_text())
    keys = ("image_id", "category_id", "bbox", "segmentation")
    perfect = [{**{key: entry[key] for key in keys}, "score": 0.9} for entry in labels["annotations"]]
    (tmp_path / "perfect.json").write_text(json.dumps(perfect))
    output = tmp_path / "out"
    code, out, err = run("compare", model_file, tmp_path / "perfect.json", "--data", dataset, "--output", output)
    assert code == 0, err
    assert "2 groups of images are too few" in out and {path.name for path in output.iterdir()} == {
        "a", "comparison.html", "comparison.json",
    }  # fmt: skip
    assert json.loads((output / "comparison.json").read_text())["mask"]["summary"][0]["B"] == 1.0


def test_where_the_labels_are_must_be_said(run: Run, model_file: Path, tmp_path: Path) -> None:
    code, _, err = run("compare", model_file, model_file)
    assert code == 2 and "expected either --data DIR" in err and err.count("\n") == 1
