"""`maskrcnn benchmark`: a table on the screen, figures in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from maskrcnn.benchmark import machine

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.setitem(machine._MATRIX_SIDE, "cpu", 64)
    yield
    torch.set_num_threads(threads)


def test_synthetic_images(run: Run, model_file: Path, tmp_path: Path) -> None:
    code, out, err = run(
        *("benchmark", "--model", model_file, "--image-size", "64x96", "--batch", 2, "--runs", 1),
        *("--threads", 1, "--device", "cpu", "--output", tmp_path / "new"),
    )
    assert code == 0, err
    path = tmp_path / "new" / "benchmark.json"
    figures = json.loads(path.read_text())
    assert f"figures in {path}" in out and "GFLOP/s" in out and "1 thread(s)" in out
    assert f"{figures['workload']['num_detections']} objects; median of 1" in out
    assert figures["model"] == str(model_file) and figures["machine"]["threads"] == 1
    assert figures["workload"]["batches"] == [[2, 3, 256, 384]] and figures["num_images"] == 2
    assert {stage["name"] for stage in figures["stages"]} >= {"backbone", "FPN", "RPN head", "paste"}


def test_own_images(run: Run, model_file: Path, dataset: Path, tmp_path: Path) -> None:
    code, out, err = run(
        *("benchmark", "--model", model_file, "--images", dataset / "images"),
        *("--runs", 1, "--device", "cpu", "--output", tmp_path),
    )
    assert code == 0 and "4 image(s), 1 at a time" in out, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image-size", "800"), "--image-size: expected height and width in pixels such as 800x1216, got '800'"),
        (("--image-size", "0x5"), "got '0x5'"),
        (("--runs", "0"), "--runs: expected a number of at least 1, got 0"),
        (("--threads", "many"), "--threads: expected a number of at least 1, got 'many'"),
        (("--images", "absent"), "absent: expected an image, a folder or a pattern"),
        (("--images", ".", "--image-size", "8x8"), "--image-size and --images: expected one of them, got both"),
        (("--model", "absent"), "model 'absent': neither a file nor a bundled model"),
        (("--device", "tpu9"), "device: expected"),
    ],
)
def test_mistakes(run: Run, arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    code, out, err = run("benchmark", "--output", tmp_path, *arguments)
    assert code == 2 and out == "" and err.count("\n") == 1 and message in err
    assert not list(tmp_path.iterdir())
