"""Intensities are measured in the numbers that an image has, not in the bytes that they are stretched to."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.conversions.stored_values import stored_values
from maskrcnn.data.channels import Channels
from maskrcnn.data.image_header import ORIENTATION_TAG
from maskrcnn.sources import source_pixels

GREY = np.arange(12, dtype=np.uint16).reshape(3, 4) * 200 + 100


def saved(path: Path, values: np.ndarray, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(values).save(path, exif=exif)
    return path


def as_npy(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path


def as_bytes(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


KINDS: dict[str, Callable[[Path], Any]] = {
    "png": lambda folder: saved(folder / "a.png", GREY),
    "tiff": lambda folder: saved(folder / "a.tif", GREY),
    "float tiff": lambda folder: saved(folder / "a.tif", GREY.astype(np.float32)),
    "npy": lambda folder: as_npy(folder / "a.npy", GREY.astype(np.float64)),
    "bytes": lambda _: as_bytes(GREY),
    "pillow": lambda _: Image.fromarray(GREY),
    "array": lambda _: GREY,
    "array of one channel": lambda _: GREY[:, :, None],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [Channels(), Channels(1, rgb=False)], ids=["rgb", "one channel"])
def test_grey_of_more_than_eight_bits_is_as_it_is_stored(kind: str, channels: Channels, tmp_path: Path) -> None:
    if kind == "float tiff" or (kind == "tiff" and not channels.rgb):
        pytest.importorskip("tifffile")
    source = KINDS[kind](tmp_path)
    assert np.array_equal(stored_values(source, channels), GREY[:, :, None])
    assert source_pixels(source, channels).max() == 255, "which the network sees stretched"


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(("orientation", "upright"), [(3, GREY[::-1, ::-1]), (6, np.rot90(GREY, -1))])
def test_they_stand_upright(ending: str, orientation: int, upright: np.ndarray, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a.{ending}", GREY, orientation)
    assert np.array_equal(stored_values(path), upright[:, :, None])


def test_eight_bits_stay_what_they_are(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    for values in (colours, colours[..., :3], colours[..., 0], colours[..., 0] > 99):
        for source in (values, saved(tmp_path / "a.png", values), Image.fromarray(values)):
            assert np.array_equal(stored_values(source), source_pixels(source))


def test_colours_of_an_array_have_all_their_bits() -> None:
    colours = np.dstack([GREY, GREY + 1, GREY + 2])
    assert np.array_equal(stored_values(colours), colours)
    assert np.array_equal(stored_values(np.dstack([colours, GREY])), source_pixels(np.dstack([colours, GREY])))


def test_channels_of_a_tiff(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    pages = np.stack([GREY, GREY * 2, GREY * 3, GREY + 7]).astype(np.float32)
    tags = [(ORIENTATION_TAG, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", extratags=tags)
    found = stored_values(tmp_path / "a.tif", Channels(4, rgb=False))
    assert np.array_equal(found, np.rot90(pages.transpose(1, 2, 0), -1))


def test_a_tiff_that_pillow_does_not_decode(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(tmp_path / "a.tif", GREY, tile=(16, 16), compression="zstd")
    assert np.array_equal(stored_values(tmp_path / "a.tif"), GREY[:, :, None])
