"""`maskrcnn predict`: files in, `predictions.json` and pictures out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.cli.predict import overlay_paths

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "b.png", "more/a.png"):
        Image.fromarray(random.integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(folder / name)
    return folder


def test_results_and_pictures(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code, out, err = run(
        "predict", images, images / "more" / "a.png", "--model", model_file, "--output", output,
        "--score-threshold", "0.01", "--max-detections", "3", "--batch-size", "2",
    )  # fmt: skip
    assert code == 0, err
    results = json.loads((output / "predictions.json").read_text())
    assert len(results) == 12 and "12 objects in 4 images" in out
    assert {(r["image_id"], r["file_name"]) for r in results} == {
        (1, (images / "a.png").as_posix()),
        (2, (images / "b.jpg").as_posix()),
        (3, (images / "b.png").as_posix()),
        (4, (images / "more" / "a.png").as_posix()),
    }
    first = results[0]
    assert (first["category_id"], first["category_name"]) in {(3, "round"), (7, "long")}
    assert first["segmentation"]["size"] == [40, 56] and isinstance(first["segmentation"]["counts"], str)
    pictures = sorted(path.name for path in output.glob("*.png"))
    assert pictures == ["a.png", "a_2.png", "b.png", "b_2.png"]
    with Image.open(output / "a.png") as picture:  # small images are drawn enlarged
        assert picture.width % 56 == 0 and picture.width * 40 == picture.height * 56


def test_nothing_found_says_what_to_try(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    arguments = ("predict", images / "a.png", "--model", model_file, "--output", tmp_path / "out", "--score-threshold")
    code, out, _ = run(*arguments, "1")
    assert code == 0 and "a.png: nothing found" in out and "no object scores above 1; a lower --score-threshold" in out
    code, out, _ = run(*arguments, "0")
    assert code == 0 and "no object" not in out


def test_one_broken_image_among_many_is_skipped(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    (images / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    code, out, err = run("predict", images, "--model", model_file, "--output", tmp_path / "out")
    assert code == 1
    lines = err.splitlines()
    assert lines[0].startswith(f"skipped: {images / 'a.png'}: ") and lines[-1].startswith("1 of 3 images skipped")
    assert "in 2 images" in out
    ids = {r["image_id"] for r in json.loads((tmp_path / "out" / "predictions.json").read_text())}
    assert ids <= {2, 3}


def test_broken_images_alone_are_an_error(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "b.png"):
        (images / name).write_bytes(b"nothing")
    code, _, err = run("predict", images / "a.png", "--model", model_file, "--output", tmp_path / "out")
    assert code == 2 and err.startswith("error: ") and "a.png" in err and err.count("\n") == 1
    code, _, err = run("predict", images, "--model", model_file, "--output", tmp_path / "out")
    assert code == 2 and "none of the 3 images" in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_pictures_never_overwrite_a_source(images: Path) -> None:
    sources = [images / "a.png", images / "b.jpg", images / "b.png"]
    paths = overlay_paths(sources, images)
    assert [paths[source].name for source in sources] == ["a_2.png", "b_2.png", "b_3.png"]


def test_no_overlays(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code, _, _ = run("predict", images / "a.png", "--model", model_file, "--output", output, "--no-overlays")
    assert code == 0 and [path.name for path in output.iterdir()] == ["predictions.json"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nuclie"], "did you mean|expected one of"),
        (["--model", "absent.safetensors"], "absent.safetensors"),
        (["--device", "gpu"], "device"),
        (["--precision", "bf16"], "precision"),
    ],
)
def test_mistakes(run: Run, images: Path, model_file: Path, options: list[str], message: str) -> None:
    arguments = options if "--model" in options else ["--model", str(model_file), *options]
    code, _, err = run("predict", images / "a.png", *arguments)
    assert code == 2 and err.count("\n") == 1
    assert any(part in err for part in message.split("|"))
