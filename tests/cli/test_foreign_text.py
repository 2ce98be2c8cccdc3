"""Names out of files reach the terminal printable and short, whichever command shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maskrcnn.build import build_model
from maskrcnn.presets import preset
from maskrcnn.structures import Categories
from maskrcnn.weights import save_model

Run = Callable[..., tuple[int, str, str]]

NAMES = ("\x1b[2J\x1b]0;owned\x07\nline", "x" * 100_000)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config, path = preset("tiny"), tmp_path / "m.safetensors"
    save_model(path, build_model(config, 2), config, Categories((3, 7), NAMES), {"note": "\x1b[31m" * 1000})
    return path


@pytest.fixture
def labels(dataset: Path) -> Path:
    for split in ("train", "val"):
        file = dataset / f"instances_{split}.json"
        content = json.loads(file.read_text())
        for entry, name in zip(content["categories"], NAMES, strict=True):
            entry["name"] = name
        file.write_text(json.dumps(content))
    return dataset


def require_harmless(text: str) -> None:
    assert len(text) < 20_000
    for line in text.splitlines():
        assert line.isprintable() and len(line) <= 2_010, line[:200]


@pytest.mark.parametrize("command", ["predict", "evaluate", "check", "train", "import-weights", "benchmark"])
def test_class_names(run: Run, model: Path, labels: Path, tmp_path: Path, command: str) -> None:
    arguments = {
        "predict": [labels / "images", "--model", model, "--score-threshold", "0", "--no-overlays"],
        "evaluate": ["--data", labels, "--model", model],
        "check": [labels],
        "train": ["--data", labels, "--init", model, "--set", "schedule.steps=-1"],
        "import-weights": [model, tmp_path / "out.safetensors"],
        "benchmark": ["--model", model, "--set", "x"],
    }[command]
    output = [] if command in ("check", "import-weights", "benchmark") else ["--output", tmp_path / "out"]
    _, out, err = run(command, *arguments, *output)
    require_harmless(out)
    require_harmless(err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "\x1b[2J" * 500],
        ["train", "--data", "x", "--output", "y", "--set", "\x1b[2J.x=1"],
        ["train", "--data", "x", "--output", "y", "--set", "rpn.num_convs=" + "9" * 100_000],
        ["\x1b[2J" * 500],
        ["predict", "x", "--\x1b[2J" * 500],
        ["evaluate", "--model", "\x1b[2J", "--data", "x", "--output", "\x1b[2J"],
    ],
)
def test_what_is_typed(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert code == 2 and out == "" and err.count("\n") == 1
    require_harmless(err)
