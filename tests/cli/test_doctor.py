"""`maskrcnn doctor` and `maskrcnn models`."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import maskrcnn.loading
from maskrcnn.presets import PRESETS

Run = Callable[..., tuple[int, str, str]]


def test_doctor_names_versions_and_passes_its_self_test(run: Run) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    assert f"torch                   {metadata.version('torch')}" in out
    subjects = [line[:23].rstrip() for line in out.splitlines()]
    assert len(subjects) == len(set(subjects)) and "onnxruntime" in subjects
    assert re.search(r"^allocator settings      (active|not active: .+|none on this system)$", out, re.MULTILINE)
    assert "self-test               passed" in out and "pytest" not in out
    assert re.search(r"^CPU matrix products     float32 \d+ GFLOP/s, bfloat16 \d+ GFLOP/s$", out, re.MULTILINE)


def test_doctor_says_how_to_install_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str, real: Callable[[str], str] = metadata.version) -> str:
        if name == "hotcoco":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    code, out, _ = run("doctor")
    assert code == 1 and "hotcoco                 MISSING" in out and "pip install hotcoco" in out


def test_models_lists_models_and_presets(run: Run, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maskrcnn.loading, "_BUNDLED", model_file.parent)
    code, out, _ = run("models")
    assert code == 0
    assert "tiny       resnet18, " in out and "2 classes: round, long" in out
    assert all(f"\n  {name} " in out for name in PRESETS)
