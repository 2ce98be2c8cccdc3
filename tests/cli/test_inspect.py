"""`maskrcnn inspect`: an image in, one page out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def image(dataset: Path) -> Path:
    return dataset / "images" / "1.png"


def test_a_page(run: Run, image: Path, model_file: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "1.html"
    code, out, err = run("inspect", image, "--model", model_file, "--output", page, "--score-threshold", "0")
    assert code == 0, err
    assert f"page in {page}" in out and " proposals, " in out
    assert "1.png: through the network" in page.read_text(encoding="utf-8")


def test_mistakes(run: Run, image: Path, model_file: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for arguments, message in (
        ((image, "--output", image), "expected a name ending in .html, got '.png'"),
        ((image, "--output", page, "--roi", "0"), "--roi: expected a number of at least 1, got 0"),
        ((image, "--output", page, "--roi", "9999"), "got 9999; lower --score-threshold"),
        ((tmp_path / "absent.png", "--output", page), "absent.png"),
        ((), "IMAGE"),
    ):
        code, _, err = run("inspect", *arguments, "--model", model_file)
        assert code == 2 and err.count("\n") == 1 and message in err
    assert not page.exists() and image.read_bytes()[:4] == b"\x89PNG"
