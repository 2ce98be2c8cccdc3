from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.cli.shortfalls import Shortfalls
from maskrcnn.presets import preset

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("options", [[], ["--tile", "128"]])
@pytest.mark.parametrize(("limit", "is_limited"), [("3", True), ("5000", False)])
def test_rows_say_that_they_reached_the_limit(
    run: Run, model_file: Path, tmp_path: Path, options: list[str], limit: str, is_limited: bool
) -> None:
    """Noise, in which a network of random weights finds many objects. Who names the limit is not told of it."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, 60, 80, 3), np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    command = ("predict", tmp_path, "--model", model_file, "--output", tmp_path / "out", "--score-threshold", "0.2")
    code, out, err = run(*command, "--max-detections", limit, *options)
    assert code == 0 and err == "" and "limit" not in out
    rows = [json.loads(row) for row in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [row.get("limited", False) for row in rows] == [is_limited] * 2


def test_the_models_own_limit_is_told() -> None:
    config = preset("nuclei")
    start, end = "500 objects; there may be more: ", "--max-detections N"
    for found, what in (
        (Shortfalls(config, None, 2), f"2 images reached the limit of {start}{end}"),
        (Shortfalls(config, None, 0, 1), f"1 tile reached the limit of {start}smaller tiles (--tile N) or {end}"),
    ):
        assert list(found.warnings()) == [f"warning: {what}"]
    assert not list(Shortfalls(config, 500, 2, 1).warnings()) and not list(Shortfalls(config).warnings())


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
