"""The tiles of a page: every size of the image, and the numbers of its objects."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.large.strips import LabelStrips
from maskrcnn.results import page
from maskrcnn.results.finished import Finished
from maskrcnn.results.rows import ResultRows
from maskrcnn.structures import Categories
from results.conftest import CLASSES, SETTINGS, drawn


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """60 x 80 pixels in tiles of 32: sizes of 2 x 3, 1 x 2 and 1 tiles."""
    monkeypatch.setattr(page, "TILE", 32)
    y, x = np.mgrid[:60, :80]
    Image.fromarray(np.stack([3 * x, 4 * y, 0 * x], axis=2).astype(np.uint8)).save(tmp_path / "a.png")
    rows, found = ResultRows(tmp_path / "rows.jsonl", SETTINGS), drawn(CLASSES, tmp_path / "a.png")
    rows.append(rows.found(str(tmp_path / "a.png"), found[:2], 0.1, more=True))
    rows.append(rows.found(str(tmp_path / "a.png"), found[2:], 0.1))
    rows.close()
    categories = Categories((3, 7), ("round", "</script><b>$long"))
    page.write(Finished(rows, [str(tmp_path / "a.png")], categories), tmp_path / "page")
    return tmp_path / "page" / "a"


def test_every_size_has_all_of_the_image(folder: Path) -> None:
    tiles = sorted(path.relative_to(folder / "image").as_posix() for path in folder.glob("image/*/*.jpg"))
    assert tiles == ["0/0_0.jpg", "0/0_1.jpg", "0/0_2.jpg", "0/1_0.jpg", "0/1_1.jpg", "0/1_2.jpg",
                     "1/0_0.jpg", "1/0_1.jpg", "2/0_0.jpg"]  # fmt: skip
    for level, size in ((0, (60, 80)), (1, (30, 40)), (2, (15, 20))):
        pixels = np.zeros((*size, 3), np.uint8)
        for path in folder.glob(f"image/{level}/*.jpg"):
            row, column = (32 * int(number) for number in path.stem.split("_"))
            tile = np.asarray(Image.open(path))
            pixels[row : row + 32, column : column + 32] = tile
            assert tile.shape[:2] == (min(32, size[0] - row), min(32, size[1] - column))
        step = 2**level
        middles = [(np.arange(length) + 0.5) * step - 0.5 for length in size[::-1]]
        for values, expected in ((pixels[..., 0], 3 * middles[0]), (pixels[..., 1].T, 4 * middles[1])):
            assert abs((values - expected).mean()) < 1, "a ramp stays where it is"
            assert np.abs(values - expected).max() < 20, "but for what JPEG changes"


def test_objects_are_the_label_image_in_every_size(folder: Path) -> None:
    found = drawn(CLASSES, Path("a.png"))
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', (folder / "index.html").read_text())[1])  # type: ignore[index]
    (numbers,) = LabelStrips(lambda: iter([found]), (60, 80)).strips(60)
    for level in range(3):
        if level:
            numbers = numbers.reshape(len(numbers) // 2, 2, -1, 2).max(axis=(1, 3))
        back = np.zeros_like(numbers)
        tiles = {}
        for path in folder.glob(f"objects/{level}/*.js"):
            arguments = path.read_text().removeprefix("objects(").removesuffix(")\n")
            name, (width, height), present, runs = json.loads(f"[{arguments}]")
            assert name == f"{level}/{path.stem}"
            places = np.repeat(runs[::2], runs[1::2]).reshape(height, width)
            tile = np.array([0, *(number for number, _, _ in present)])[places]
            row, column = (int(number) for number in path.stem.split("_"))
            tiles[row, column] = tile
            back[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = tile
            for number, label, score in present:
                assert label == found.labels[number - 1] and score == pytest.approx(found.scores[number - 1], abs=6e-4)
        assert np.array_equal(back, numbers)
        across = -(-numbers.shape[1] // 32)
        assert {divmod(i, across) for i, one in enumerate(facts["occupied"][level]) if one == "1"} == tiles.keys()
        assert all(tile.any() for tile in tiles.values())
    assert facts["classes"] == ["round", "</script><b>$long"] and (facts["width"], facts["levels"]) == (80, 3)


def test_names_stay_text(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    assert text.count("</script>") == 2 and "<b>" not in text and "&lt;b&gt;$long" in text
    assert "http" not in text.replace("http-equiv", ""), "nothing is loaded from elsewhere"
