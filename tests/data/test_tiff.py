from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from maskrcnn.data.channel_files import read_pixels
from maskrcnn.data.images import read_image
from maskrcnn.errors import UserError


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (np.zeros((4, 5)), "1 x 64-bit floating-point numbers"),
        (np.zeros((4, 5, 3), np.float32), "3 x 32-bit floating-point numbers"),
    ],
)
def test_a_tiff_that_pillow_does_not_read_is_not_called_broken(
    tmp_path: Path, values: npt.NDArray[np.generic], what: str
) -> None:
    path = tmp_path / "x.tif"
    assert cv2.imwrite(str(path), values)
    with pytest.raises(UserError, match=rf"x\.tif: a TIFF of {what} per pixel, which Pillow does not read.*save it as"):
        read_image(path)


def test_planes_that_pillow_does_not_read_are_named(tmp_path: Path) -> None:
    """It ends in an error of Python's, which tells nobody anything."""
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((2, 24, 31), np.uint8), photometric="minisblack", planarconfig="separate")
    what = "2 x 8-bit whole numbers per pixel, one plane behind the other, which Pillow does not read; save it as grey"
    with pytest.raises(UserError, match=rf"x\.tif: a TIFF of {what}") as error:
        read_image(path)
    assert "index" not in str(error.value)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_planes_one_behind_the_other(tmp_path: Path, dtype: str, compression: str | None) -> None:
    """Of 16 bits and not compressed Pillow would take half of the bytes: tifffile reads them, or nobody does."""
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).integers(0, 256, (3, 24, 31)).astype(dtype) * (257 if dtype == "uint16" else 1)
    path, bytes_ = tmp_path / "x.tif", (values >> (8 if dtype == "uint16" else 0)).astype(np.uint8).transpose(1, 2, 0)
    tifffile.imwrite(path, values, photometric="rgb", planarconfig="separate", compression=compression)
    if (dtype, compression) != ("uint16", None):
        assert np.array_equal(read_image(path), bytes_)
    else:
        with pytest.raises(
            UserError, match=r"x\.tif: a TIFF of 3 planes of 16 bits, which Pillow reads wrong"
        ) as error:
            read_image(path)
        assert "pip install" not in str(error.value), "it is installed"
    read = read_pixels(path)
    assert read.shape == (24, 31, 3) and np.corrcoef(read.ravel(), bytes_.ravel())[0, 1] > 0.99


def test_libtiff_writes_nothing_past_the_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "TIFF", compression="tiff_lzw")
    content = bytearray(stream.getvalue())
    content[200:260] = bytes(byte ^ 0x5A for byte in content[200:260])
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.tif: broken or incomplete"):
        read_image(tmp_path / "x.tif")
    assert capfd.readouterr() == ("", "")
