from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "warning: 2 images reached the limit of 3 objects; there may be more: --max-detections N\n"),
        (
            ["--tile", "128"],
            "warning: 2 tiles reached the limit of 3 objects; there may be more: smaller tiles (--tile N) or "
            "--max-detections N\n",
        ),
        (["--max-detections", "5000"], ""),
    ],
)
def test_images_and_tiles_that_reach_the_limit_are_counted_once(
    run: Run, model_file: Path, tmp_path: Path, options: list[str], line: str
) -> None:
    """Noise, in which a network of random weights finds many objects."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, 60, 80, 3), np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    command = ("predict", tmp_path, "--model", model_file, "--output", tmp_path / "out", "--score-threshold", "0.2")
    code, out, err = run(*command, "--max-detections", "3", *options)
    assert code == 0 and err == line and "limit" not in out
    rows = [json.loads(row) for row in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [row.get("limited", False) for row in rows] == [bool(line)] * 2


@pytest.mark.parametrize(("number", "words"), [(1, "1 file has"), (2, "2 files have")])
def test_files_with_several_pages_are_counted_once(
    run: Run, model_file: Path, tmp_path: Path, number: int, words: str
) -> None:
    first, second = (Image.new("RGB", (80, 60), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "alone.tif")
    for name in ("a.tif", "b.png")[:number]:
        first.save(tmp_path / name, save_all=True, append_images=[second])
    code, _, err = run("predict", tmp_path, "--model", model_file, "--output", tmp_path / "out", "--no-overlays")
    expected = f"warning: {words} several pages or frames; only the first was used: save the others as files\n"
    assert code == 0 and err == expected
