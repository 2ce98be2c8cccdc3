from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.errors import UserError
from maskrcnn.weights.foreign.detectron2_yaml import flatten, read_detectron2_config


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_flatten() -> None:
    nested = {"A": {"B": {"C": 1}, "D": [2]}, "E": None, "F": (3, (4,))}
    assert flatten(nested) == {"A.B.C": 1, "A.D": [2], "E": None, "F": [3, [4]]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"(640, 800)"', [640, 800]),
        ("'(\"coco_2017_train\",)'", ["coco_2017_train"]),
        ('"False"', False),
        ('"1.5"', 1.5),
        ("detectron2://ImageNetPretrained/MSRA/R-50.pkl", "detectron2://ImageNetPretrained/MSRA/R-50.pkl"),
        ("\"(1, __import__('os').getcwd())\"", "(1, __import__('os').getcwd())"),
        ('"((((((((((((((("', "((((((((((((((("),
    ],
)
def test_values_in_pythons_spelling(tmp_path: Path, text: str, value: Any) -> None:
    path = write(tmp_path / "config.yaml", f"MODEL: {{X: {text}}}")
    assert read_detectron2_config(path) == {"MODEL.X": value}


def test_a_file_based_on_another(tmp_path: Path) -> None:
    write(tmp_path / "Base.yaml", "MODEL: {A: 1, B: {C: 2, D: 3}}\nVERSION: 2")
    write(tmp_path / "kind" / "Base-kind.yaml", "_BASE_: ../Base.yaml\nMODEL: {B: {C: 4}}")
    path = write(tmp_path / "kind" / "config.yaml", "_BASE_: Base-kind.yaml\nMODEL: {A: 5}")
    assert read_detectron2_config(path) == {"MODEL.A": 5, "MODEL.B.C": 4, "MODEL.B.D": 3, "VERSION": 2}


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("/etc/passwd", r"expected in `_BASE_` the path of a file from this folder, got '/etc/passwd'"),
        ("https://example.org/Base.yaml", "which holds every setting"),
        ("[1]", r"got \[1\]"),
        ("config.yaml", "this one leads to itself"),
        ("absent.yaml", r"absent\.yaml: no such file"),
        ("pipe", "got a device or a pipe"),
    ],
)
def test_bases_that_are_not_read(tmp_path: Path, base: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = write(tmp_path / "config.yaml", f"_BASE_: {base}\nMODEL: {{A: 1}}")
    with pytest.raises(UserError, match=message):
        read_detectron2_config(path)


BOMB = "\n".join(["a0: &a0 [1, 1]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))])


@pytest.mark.parametrize(
    "text",
    [
        "MODEL: [",
        "- 1",
        "",
        "MODEL: 3",
        "A: {B: 1}",
        "MODEL: !!python/object:os.system {}",
        "MODEL: !!python/object/apply:os.mkdir [marker]",
        "MODEL: {A: " + "[" * 5000,
        "MODEL: &m {A: *m}",
        "MODEL: {A: &a [*a]}",
        BOMB + "\nMODEL: {A: *a11}",
        "MODEL: {A: " + "x" * 1_000_000 + "}",
        "MODEL: {A: 2024-13-45}",
        "MODEL: !!python/tuple [1]",
        "MODEL: {A: \xff\x00}",
    ],
)
def test_files_that_are_no_such_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"expected detectron2's config\.yaml") as caught:
        read_detectron2_config(tmp_path / "config.yaml")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600
    assert not (tmp_path / "marker").exists()
