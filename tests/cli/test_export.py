"""The options of `maskrcnn export`; what it writes is tested with the library's own export."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--int8", "--calibrate", "images"], "expected --calibrate DIR and --validate FILE"),
        (["--validate", "labels.json"], "--validate belongs to --int8"),
        (["--model", "a.onnx"], "expected a network, got an exported one"),
    ],
    ids=str,
)
def test_options_that_do_not_fit(run: Run, tmp_path: Path, options: list[str], expected: str) -> None:
    code, out, err = run("export", tmp_path / "model.onnx", *options)
    assert code == 2 and out == "" and expected in err and list(tmp_path.iterdir()) == []


def test_another_ending(run: Run, tmp_path: Path, model_file: Path) -> None:
    code, _, err = run("export", tmp_path / "model.pb", "--model", model_file)
    assert code == 2 and "ends in .onnx; name it model.onnx" in err and list(tmp_path.iterdir()) == []
