"""Files of which windows are read: which are, how large they may be, and in which orientation."""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.channel_files import read_labelled_pixels, read_pixels
from maskrcnn.data.channels import UNKNOWN
from maskrcnn.data.image_header import TooManyPixels
from maskrcnn.data.windowed import files, tiff
from maskrcnn.data.windowed.files import LabelledFile, decode, labelled_header, opened_labelled
from maskrcnn.data.windowed.parts import opened_in_parts
from maskrcnn.errors import UserError

tifffile = pytest.importorskip("tifffile", reason="needs tifffile")

PIXELS = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)
SIZE, WINDOW = (90, 130), (20, 30, 90, 61)


def written(path: Path, **form: object) -> Path:
    tifffile.imwrite(path, PIXELS, photometric="rgb", **form)
    return path


@pytest.mark.parametrize("form", [{"tile": (16, 16), "compression": "zlib"}, {"rowsperstrip": 8}, {}])
def test_a_labelled_file_gives_windows_of_any_form(
    form: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts; the last, in one strip that is larger than what is kept of a file, mapped into memory."""
    monkeypatch.setattr(tiff, "CACHE", 4000)
    path = written(tmp_path / "a.tif", **form)
    with opened_in_parts(path) as image:
        assert image is not None
    x1, y1, x2, y2 = WINDOW
    assert np.array_equal(LabelledFile(path, SIZE, max_pixels=10).read(WINDOW), PIXELS[y1:y2, x1:x2])


def test_parts_that_are_too_large_are_no_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "CACHE", 4000)
    path = written(tmp_path / "a.tif", compression="zlib", rowsperstrip=90)
    with opened_in_parts(path) as image:
        assert image is None
    with pytest.raises(TooManyPixels, match="more than the limit of 10"):
        LabelledFile(path, SIZE, max_pixels=10).read(WINDOW)
    assert LabelledFile(path, SIZE).read(WINDOW).shape == (31, 70, 3)


def test_the_limit_of_pixels_is_one_of_whole_images(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", tile=(16, 16))
    assert labelled_header(path, max_pixels=10).size == labelled_header(path, UNKNOWN, max_pixels=10).size == SIZE
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    with pytest.raises(TooManyPixels):
        labelled_header(tmp_path / "a.png", max_pixels=10)


def replace_tile(path: Path, index: int, content: bytes) -> None:
    """Let another content, put at the end of the file, be that of a tile."""
    offset = path.stat().st_size
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag, number in (("TileOffsets", offset), ("TileByteCounts", len(content))):
            values = list(file.pages[0].tags[tag].value)
            values[index] = number
            file.pages[0].tags[tag].overwrite(values)
    with path.open("ab") as end:
        end.write(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "JPEG2000"])
def test_a_tile_that_claims_more_pixels_is_not_decoded(kind: str, tmp_path: Path) -> None:
    """Their decoders make room for what the header of the tile says: gigabytes by a kilobyte."""
    pytest.importorskip("imagecodecs")
    path = written(tmp_path / "a.tif", tile=(16, 16), compression=kind.lower())
    with opened_in_parts(path) as image:
        assert image is not None and image.read(WINDOW).shape == (31, 70, 3), "which the others are decoded by"
    larger = BytesIO()
    Image.new("RGB", (17, 16)).save(larger, kind)
    replace_tile(path, 3, larger.getvalue())
    with opened_in_parts(path) as image, pytest.raises(UserError, match=r"tile 3 .*it claims 17 x 16 pixels"):
        image.read((0, 0, 130, 16))


def test_a_tile_that_unpacks_to_more_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By imagecodecs, and without it."""
    path = written(tmp_path / "a.tif", tile=(16, 16), compression="zlib")
    replace_tile(path, 0, zlib.compress(bytes(16 * 16 * 3 + 1)))
    for spec in (find_spec, lambda name: None if name == "imagecodecs" else find_spec(name)):
        monkeypatch.setattr(tiff, "find_spec", spec)
        with opened_in_parts(path) as image, pytest.raises(UserError, match="tile 0 of the TIFF cannot be decoded"):
            image.read((0, 0, 16, 16))
        with opened_in_parts(path) as image:
            assert np.array_equal(image.read((16, 0, 130, 90)), PIXELS[:, 16:])


def test_a_file_with_gaps_is_read_as_a_whole_too(tmp_path: Path) -> None:
    """Pillow cannot; where a tile was never written nothing is shown."""
    path = written(tmp_path / "a.tif", tile=(16, 16), compression="zlib")
    replace_tile(path, 0, b"")
    expected = PIXELS.copy()
    expected[:16, :16] = 0
    assert np.array_equal(read_pixels(path), expected) and np.array_equal(read_labelled_pixels(path, SIZE), expected)
    with pytest.raises(TooManyPixels):
        read_pixels(path, max_pixels=10)
    with pytest.raises(UserError):
        read_labelled_pixels(path, (91, 130))


@pytest.mark.parametrize("form", [{}, {"tile": (16, 16)}, {"tile": (16, 16), "compression": "zlib"}])
def test_a_file_that_is_cut_off_is_not_read_as_one_with_gaps(form: dict[str, object], tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", **form)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for read in (read_pixels, lambda file: read_labelled_pixels(file, SIZE)):
        with pytest.raises(UserError, match=r"a\.tif"):
            read(path)
    with pytest.raises(UserError, match=r"a\.tif"), opened_in_parts(path) as image:
        assert image is not None
        image.read((0, 0, 130, 90))


def test_a_turned_file_is_decoded_as_a_whole(tmp_path: Path) -> None:
    """Labels of the upright picture, and labels of the pixels as they are stored."""
    path = written(tmp_path / "a.tif", tile=(16, 16), extratags=[(274, "H", 1, 6, True)])
    with opened_in_parts(path) as image:
        assert image is None
    for size, pixels in (((130, 90), np.rot90(PIXELS, -1)), (SIZE, PIXELS)):
        with opened_labelled(path, size) as image:
            assert np.array_equal(image.read((0, 0, size[1], size[0])), pixels)


def test_labels_of_another_size_are_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", tile=(16, 16))
    with (
        pytest.raises(UserError, match="the picture is 130 x 90 but its labels are for 20 x 10"),
        opened_labelled(path, (10, 20)),
    ):
        pass


def test_all_of_a_huge_file_is_decoded_strip_by_strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_PIXELS", 1000)
    monkeypatch.setattr(files, "_STRIP", 1000)
    path = written(tmp_path / "a.tif", tile=(16, 16), compression="zlib")
    decode(path, SIZE)
    with tifffile.TiffFile(path) as file:
        offsets = file.pages[0].dataoffsets
    content = bytearray(path.read_bytes())
    content[offsets[-1] : offsets[-1] + 10] = b"no zlib..."
    path.write_bytes(content)
    with pytest.raises(UserError, match="tile 53 of the TIFF cannot be decoded"):
        decode(path, SIZE)
