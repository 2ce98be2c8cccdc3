"""TIFF files of several channels, as `tifffile` writes them, and what hostile ones claim."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.channel_files import read_header, read_pixels
from maskrcnn.data.channels import Channels
from maskrcnn.errors import UserError

tifffile = pytest.importorskip("tifffile")

FIVE = Channels(5, rgb=False)
PLANES = np.random.default_rng(0).integers(0, 256, (5, 21, 34), np.uint8)
EXPECTED = np.moveaxis(PLANES, 0, 2)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(values: Any = PLANES, **options: Any) -> Path:
        tifffile.imwrite(tmp_path / "x.tif", values, **{"photometric": "minisblack", **options})
        return tmp_path / "x.tif"

    return write


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib", "tile": (16, 16)},
        {"compression": "lzw", "predictor": True},
        {"byteorder": ">", "bigtiff": True},
        {"imagej": True, "metadata": {"axes": "CYX"}},
        {"ome": True, "metadata": {"axes": "CYX"}},
        {"rowsperstrip": 4},
    ],
)
def test_pages_and_planes_are_channels(write: Callable[..., Path], options: dict[str, Any]) -> None:
    path = write(**options)
    assert np.array_equal(read_pixels(path, FIVE), EXPECTED)
    header = read_header(path, FIVE)
    assert (header.size, header.channels) == ((21, 34), 5)


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_interleaved_samples_are_channels(write: Callable[..., Path], tile: Any) -> None:
    path = write(EXPECTED, planarconfig="contig", tile=tile)
    assert np.array_equal(read_pixels(path, FIVE), EXPECTED)


def test_pages_of_several_samples_add_up(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for first in (0, 3):
            file.write((PLANES[first][:, :, None] // [1, 2, 3]).astype(np.uint8), photometric="rgb")
    read = read_pixels(tmp_path / "x.tif", Channels(6, rgb=False))
    assert np.array_equal(read[..., 1], PLANES[0] // 2) and np.array_equal(read[..., 5], PLANES[3] // 3)


def test_a_smaller_page_and_a_mask_end_the_channels(tmp_path: Path) -> None:
    for last in (PLANES[0, :10, :17], PLANES[0] > 99):
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            for page in (PLANES[0], PLANES[1], last, PLANES[2]):
                file.write(page, photometric="minisblack")
        assert np.array_equal(read_pixels(tmp_path / "x.tif", Channels(2, rgb=False)), EXPECTED[:, :, :2])


@pytest.mark.parametrize("kind", ["<u2", ">u2", "i4", "f4", "f8"])
def test_each_channel_is_stretched_by_itself(write: Callable[..., Path], kind: str) -> None:
    """Ranges 30 times apart come out alike."""
    ramp = np.arange(1001, dtype=np.float64).reshape(7, 143)
    path = write(np.stack([ramp + 7, 30 * ramp]).astype(kind))
    first, second = np.moveaxis(read_pixels(path, Channels(2, rgb=False)), 2, 0)
    assert np.array_equal(first, second)
    # percentiles 0.1 and 99.9 of 0..1000 are 1 and 999: value v becomes (v - 1) * 255 / 998
    assert first.ravel()[[0, 1, 401, 999, 1000]].tolist() == [0, 0, round(400 * 255 / 998), 255, 255]


def test_one_channel_is_what_grey_pictures_become(write: Callable[..., Path]) -> None:
    path = write(np.random.default_rng(1).integers(100, 5000, (40, 50)).astype(np.uint16))
    assert np.array_equal(read_pixels(path, Channels(1, rgb=False))[:, :, 0], read_pixels(path)[:, :, 1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_that_of_other_readers(write: Callable[..., Path], orientation: int) -> None:
    path = write(PLANES[0], extratags=[(274, "H", 1, orientation, True)])
    one, rgb = Channels(1, rgb=False), read_pixels(path)
    assert np.array_equal(read_pixels(path, one)[:, :, 0], rgb[:, :, 0])
    assert read_header(path, one).size == read_header(path).size == rgb.shape[:2]


@pytest.mark.parametrize("count", [1, 4, 6])
def test_another_number_is_one_line(write: Callable[..., Path], count: int) -> None:
    path = write()
    for read in (read_header, read_pixels):
        with pytest.raises(UserError, match=rf"x.tif: expected {count} channel.*got 5; .*input.channels=5") as error:
            read(path, Channels(count, rgb=False))
        assert "\n" not in str(error.value)


def test_what_is_no_number_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"x.tif: expected a TIFF whose pixels are whole numbers or floats"):
        read_header(write(PLANES.astype(np.complex64)), FIVE)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"planarconfig": "separate", "compression": "lzw"}])
def test_cut_short_anywhere_is_one_line(write: Callable[..., Path], options: dict[str, Any]) -> None:
    path = write(**options)
    content = path.read_bytes()
    for end in range(0, len(content) - 1, 97):
        path.write_bytes(content[:end])
        try:
            assert read_pixels(path, FIVE).shape == (21, 34, 5)
        except UserError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)


def test_a_changed_byte_is_no_traceback(write: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    path = write(planarconfig="separate", compression="zlib")
    content = path.read_bytes()
    for place in range(min(len(content), 600)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            read_pixels(path, FIVE)
        except UserError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert capfd.readouterr().err == ""  # libraries keep silent too


def tiff(*tags: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A little-endian file of one directory; data begin at byte 8."""
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


SHORT, LONG = 3, 4


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({256: 2_000_000, 257: 2_000_000}, "claims 2000000 x 2000000 pixels"),
        ({277: 60_000}, "got 60000"),
        ({322: 65_536, 323: 65_536, 324: 8, 325: 4}, "claims tiles of 65536 x 65536"),
        ({256: 0}, "damaged"),
    ],
)
def test_what_a_file_claims_is_not_believed(tmp_path: Path, tags: dict[int, int], message: str) -> None:
    claims = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64, **tags}
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(*((tag, LONG, 1, value) for tag, value in sorted(claims.items())), data=bytes(64)))
    with pytest.raises(UserError, match=message):
        read_pixels(path, Channels(1, rgb=False))


@pytest.mark.usefixtures("little_memory")
def test_a_strip_that_unpacks_to_gigabytes_is_stopped(tmp_path: Path) -> None:
    """A strip of 8 x 8 pixels that holds 2 GB of zeros in 2 MB."""
    import zlib

    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(128)) + packer.flush()
    claims = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 8, 279: len(bomb)}
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(*((tag, LONG, 1, value) for tag, value in sorted(claims.items())), data=bomb))
    with pytest.raises(UserError, match=r"x.tif: broken or incomplete"):
        read_pixels(path, Channels(1, rgb=False))


def test_directories_in_a_ring_end(tmp_path: Path) -> None:
    content = bytearray(
        tiff((256, LONG, 1, 1), (257, LONG, 1, 1), (258, SHORT, 1, 8), (273, LONG, 1, 8), (279, LONG, 1, 1))
    )
    content[-4:] = struct.pack("<I", 8)
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(UserError):
        read_header(tmp_path / "x.tif", FIVE)


def test_without_the_library_the_line_names_it(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(compression="zlib")
    for name in ("tifffile", "imagecodecs"):
        monkeypatch.setattr(
            "maskrcnn.data.tiff_channels.find_spec", lambda asked, name=name: None if asked == name else asked
        )
        with pytest.raises(UserError, match=f"x.tif: expected {name} .*pip install {name}"):
            read_header(path, FIVE)
