from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from maskrcnn.cli.shrinking import Shrinking
from maskrcnn.config import Config

Run = Callable[..., tuple[int, str, str]]


def test_images_that_lose_most_of_their_size_are_named_once() -> None:
    shrinking = Shrinking(Config())  # sides of at most 1333 pixels
    for size in ((600, 800), (3000, 4000), (9000, 12000), (8000, 6000)):
        shrinking.add(size)
    assert shrinking.num_images == 2 and shrinking.largest_size == (9000, 12000)
    warning = shrinking.warning() or ""
    assert "2 images were" in warning and "11.3 times (12000 x 9000" in warning and "tiles of about 1333" in warning


def test_what_shrinks_a_little_or_grows_is_not_mentioned() -> None:
    shrinking = Shrinking(Config())
    for size in ((3000, 4000), (10, 10), (3200, 3200)):
        shrinking.add(size)
    assert shrinking.warning() is None


def test_predict_says_it(run: Run, model_file: Path, tmp_path: Path) -> None:
    Image.new("L", (2200, 30)).save(tmp_path / "x.png")  # the tiny model sees 512 pixels
    code, out, err = run("predict", tmp_path / "x.png", "--model", model_file, "--output", tmp_path / "out")
    assert code == 0 and "warning" not in out
    assert "warning: 1 image was made much smaller" in err and "4.3 times (2200 x 30" in err
