"""Large images through a trained model: the same nuclei as in one piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import maskrcnn
from large.drawn import CATEGORIES, find_colours
from large.test_tiling import layout
from maskrcnn.config import Config
from maskrcnn.data.windowed.arrays import ArrayImage
from maskrcnn.errors import UserError
from maskrcnn.large.prediction import LargeOptions, predict_parts, predict_whole
from maskrcnn.large.readers import opened
from maskrcnn.prediction import Prediction
from maskrcnn.sources import source_pixels

NUCLEI = Path(__file__).parents[2] / "examples" / "nuclei_mini" / "images"


class Stub:
    """What `predict_whole` asks of a model, with classes of its own."""

    categories = CATEGORIES
    config = Config()
    summary: ClassVar[dict[str, object]] = {}


def as_picture(numbers: np.ndarray) -> np.ndarray:
    part = numbers.astype(np.uint32)
    return np.stack([part & 255, part >> 8 & 255, part >> 16], axis=2).astype(np.uint8)


def test_parts_are_the_whole() -> None:
    picture = as_picture(layout(3, size=(900, 500)))
    options = LargeOptions(tile=256, overlap=64)
    whole = predict_whole(Stub(), picture, options, find_colours)
    parts = list(predict_parts(Stub(), picture, options, find_colours))
    assert len(parts) > 1
    assert sum(map(len, parts)) == len(whole) > 20
    assert all(part.image_size == (900, 500) for part in parts)
    assert whole.scores.tolist() == sorted((s for part in parts for s in part.scores.tolist()), reverse=True)
    assert {r["segmentation"]["counts"] for r in whole.to_coco()} == {
        r["segmentation"]["counts"] for part in parts for r in part.to_coco()
    }


def test_tiles_that_reached_the_limit_are_counted() -> None:
    """Each once, in whichever part, also where the objects of a tile are those of its neighbours."""
    picture, options, number = as_picture(layout(3, size=(900, 500))), LargeOptions(tile=256, overlap=64), 0

    def at_the_limit(pictures: Iterable[np.ndarray]) -> Iterator[Prediction]:
        nonlocal number
        for number, found in enumerate(find_colours(pictures), start=1):
            yield replace(found[: 5 if number < 9 else 0], limited=1)

    parts = list(predict_parts(Stub(), picture, options, at_the_limit))
    assert sum(part.limited for part in parts) == number > 9
    whole = predict_whole(Stub(), picture, options, at_the_limit)
    assert whole.limited == Prediction.concatenate(parts).limited == number
    assert predict_whole(Stub(), picture, options, find_colours).limited == 0


def test_an_image_without_objects() -> None:
    blank = predict_whole(Stub(), np.zeros((700, 300, 3), np.uint8), LargeOptions(tile=256, overlap=64), find_colours)
    assert len(blank) == 0
    assert blank.image_size == (700, 300)
    assert blank.to_coco() == []


def test_nuclei_in_tiles_are_the_nuclei_of_the_whole_image() -> None:
    """A picture that the network sees at its own size, whole and in four tiles."""
    picture = source_pixels(NUCLEI / "brightfield_gray_313.png")
    nuclei = maskrcnn.load("nuclei", device="cpu")
    whole, tiled = nuclei.predict(picture), nuclei.predict_large(picture, tile=640, overlap=128)
    masks = [p.masks().reshape(len(p), -1).astype(np.float32) for p in (whole, tiled)]
    shared = masks[0] @ masks[1].T
    ious = shared / (masks[0].sum(axis=1)[:, None] + masks[1].sum(axis=1) - shared)
    matched = (ious.max(axis=1) > 0.95).sum()
    assert len(whole) > 10
    assert matched == len(whole)
    assert len(tiled) == len(whole)


@pytest.mark.parametrize("kind", ["npy", "tiled", "strips", "planes", "array"])
def test_parts_of_files_are_the_pixels_of_the_whole(kind: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 210, 3), np.uint8)
    source: object = tmp_path / ("image.npy" if kind == "npy" else "image.tif")
    if kind == "npy":
        np.save(source, pixels)  # type: ignore[call-overload]
    elif kind == "array":
        source = pixels
    else:
        tifffile = pytest.importorskip("tifffile")
        planes = (
            {"data": pixels.transpose(2, 0, 1), "planarconfig": "separate"} if kind == "planes" else {"data": pixels}
        )
        tiles = {"tile": (64, 32)} if kind != "strips" else {"rowsperstrip": 40}
        tifffile.imwrite(source, photometric="rgb", compression="zlib", **planes, **tiles)
    with opened(source) as image:  # type: ignore[arg-type]
        assert image.size == (150, 210)
        for x1, y1, x2, y2 in ((0, 0, 210, 150), (30, 60, 70, 130), (64, 32, 65, 33), (200, 140, 210, 150)):
            assert np.array_equal(image.read((x1, y1, x2, y2)), pixels[y1:y2, x1:x2])


def test_sixteen_bits_are_stretched_by_one_rule_for_all_parts() -> None:
    values = np.arange(40_000, dtype=np.uint16).reshape(200, 200) + 1000
    image = ArrayImage(values, "array")
    whole = image.read((0, 0, 200, 200))
    assert whole[0, 0].tolist() == [0, 0, 0]
    assert whole[-1, -1].tolist() == [255, 255, 255]
    assert np.array_equal(image.read((50, 100, 90, 150)), whole[100:150, 50:90])


@pytest.mark.parametrize("content", [b"II*\0nothing", b"\x93NUMPY\x01\x00", b"neither"])
def test_broken_files_are_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / ("a.npy" if content.startswith(b"\x93") else "a.tif")
    path.write_bytes(content)
    with pytest.raises(UserError) as error, opened(path):
        pass
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="expected an array"), opened(tmp_path / "a.npy"):
        pass
