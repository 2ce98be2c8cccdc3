"""Files of any number of channels: arrays, and pictures as they are stored. TIFF: `test_tiff_channels.py`."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.channel_files import read_header, read_labelled_pixels, read_pixels, read_pixels_of
from maskrcnn.data.channels import ANY, RGB, UNKNOWN, Channels
from maskrcnn.data.images import TooManyPixels
from maskrcnn.errors import UserError

BYTES = np.random.default_rng(0).integers(0, 256, (21, 34, 5), np.uint8)


def of(count: int) -> Channels:
    return Channels(count, rgb=False)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(array: Any) -> Path:
        np.save(tmp_path / "x.npy", array)
        return tmp_path / "x.npy"

    return save


# --- arrays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", [BYTES, np.moveaxis(BYTES, 2, 0), np.asfortranarray(BYTES)], ids=["HWC", "CHW", "F"])
def test_channels_may_be_first_or_last(save: Callable[..., Path], array: Any) -> None:
    path = save(array)
    assert np.array_equal(read_pixels(path, of(5)), BYTES)
    assert np.array_equal(read_pixels_of(path.read_bytes(), "x", of(5)), BYTES)
    assert read_header(path, of(5)).size == read_header(path, ANY).size == (21, 34)


def test_the_expected_number_tells_which_axis_it_is(save: Callable[..., Path]) -> None:
    assert read_header(save(np.zeros((5, 40, 3), np.uint8)), of(5)).size == (40, 3)
    assert read_header(save(np.zeros((5, 40, 3), np.uint8)), of(3)).size == (5, 40)
    assert read_header(save(np.zeros((4, 40, 4), np.uint8)), of(4)).size == (4, 40)


def test_two_axes_are_one_channel(save: Callable[..., Path]) -> None:
    assert np.array_equal(read_pixels(save(BYTES[:, :, 0]), of(1)), BYTES[:, :, :1])
    assert read_pixels(save(BYTES[:, :, 0] > 99), of(1)).max() == 255


@pytest.mark.parametrize("kind", [">u2", "<i4", "<f2", ">f8", "u8"])
def test_other_numbers_are_stretched_channel_by_channel(save: Callable[..., Path], kind: str) -> None:
    ramp = np.arange(1001.0).reshape(7, 143)
    read = read_pixels(save(np.stack([ramp, 60 * ramp], axis=2).astype(kind)), of(2))
    assert read[..., 0].ravel()[[0, 1, 401, 999, 1000]].tolist() == [0, 0, 102, 255, 255]  # 400 * 255 / 998 = 102.2
    assert np.abs(read[..., 0].astype(int) - read[..., 1]).max() <= (1 if kind == "<f2" else 0)


def test_what_is_not_finite_and_what_is_one_value_is_black(save: Callable[..., Path]) -> None:
    values = np.arange(1001.0).reshape(7, 143)
    values[0, :3] = np.nan, np.inf, -np.inf
    read = read_pixels(save(np.stack([values, np.full_like(values, 8.5)], axis=2)), of(2))
    assert read[0, :3, 0].tolist() == [0, 0, 0] and read[6, 142, 0] == 255 and not read[..., 1].any()


def test_an_array_of_three_is_rgb_as_in_memory(save: Callable[..., Path]) -> None:
    rgb = np.ascontiguousarray(BYTES[:, :, :3])
    assert np.array_equal(read_pixels(save(rgb)), rgb) and np.array_equal(
        read_pixels(save(rgb.transpose(2, 0, 1))), rgb
    )
    assert np.array_equal(read_pixels(save(rgb[:, :, 0])), np.repeat(rgb[:, :, :1], 3, axis=2))
    assert np.array_equal(read_pixels(save(rgb.astype(np.uint16) << 8)), rgb)
    assert read_pixels(save(rgb / 255.0)).max() == 255
    assert np.array_equal(read_labelled_pixels(save(rgb), (21, 34)), rgb)


def test_four_in_an_array_are_no_transparency(save: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"expected 3 channel\(s\) \(input.channels\), got 4; .*input.channels=4"):
        read_header(save(BYTES[:, :, :4]), RGB)


def test_labels_of_another_size_are_refused(save: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"x.npy: the picture is 34 x 21 but its labels are for 21 x 34"):
        read_labelled_pixels(save(BYTES), (34, 21), of(5))


class Evil:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a file ran code')",)


def header_of(shape: str, kind: str = "'|u1'") -> bytes:
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


HOSTILE: dict[str, tuple[bytes, str]] = {
    "huge": (header_of("(99999999, 99999999, 5)"), "the file has 0"),
    "endless": (header_of(f"({10**80}, 5, 5)"), "the file has 0"),
    "negative": (header_of("(-5, 5, 5)") + bytes(999), "empty or cut short"),
    "empty": (header_of("(0, 5, 5)"), "empty or cut short"),
    "cut short": (header_of("(21, 34, 5)") + bytes(21 * 34 * 5 - 1), "takes 3570 bytes, the file has 3569"),
    "no header": (b"\x93NUMPY", "expected an array"),
    "no version": (b"\x93NUMPY\x09\x00" + bytes(99), "expected an array"),
    "not a dictionary": (b"\x93NUMPY\x01\x00\x08\x00((((((((", "as numpy.save writes it"),
    "one axis": (header_of("(3570,)") + bytes(3570), "got the shape"),
    "many axes": (header_of("(" + "1, " * 40 + ")") + bytes(9), "got the shape"),
    "complex": (header_of("(3, 3)", "'<c16'") + bytes(999), "expected an array of numbers"),
    "fields": (header_of("(3, 3)", "[('a', '<f4'), ('b', '<i2')]") + bytes(999), "expected an array of numbers"),
    "dates": (header_of("(3, 3)", "'<M8[s]'") + bytes(999), "expected an array of numbers"),
    "text": (header_of("(3, 3)", "'<U9'") + bytes(999), "expected an array of numbers"),
    "objects": (header_of("(1, 1)", "'|O'") + pickle.dumps([[Evil()]]), "expected an array of numbers"),
    "an archive": (b"PK\x03\x04" + bytes(99), "got a zip archive"),
}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arrays_are_one_line(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    for channels in (RGB, of(5), ANY):
        with pytest.raises(UserError, match=message) as error:
            read_pixels(path, channels)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 400


def test_too_many_pixels_and_too_little_memory(save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooManyPixels, match="claims 34 x 21 pixels"):
        read_header(save(BYTES), of(5), max_pixels=700)
    monkeypatch.setattr("maskrcnn.data.decoding_cost.ALWAYS_FREE", 0)
    monkeypatch.setattr("maskrcnn.data.decoding_cost.free_bytes", lambda: 1000)
    assert read_header(save(BYTES), of(5)).channels == 5
    with pytest.raises(UserError, match=r"x.npy: 34 x 21 pixels take .* of memory"):
        read_pixels(save(BYTES), of(5))


def test_those_who_look_take_what_there_is(save: Callable[..., Path], tmp_path: Path) -> None:
    assert np.array_equal(read_labelled_pixels(save(BYTES), (21, 34), UNKNOWN), BYTES)
    assert UNKNOWN.picture(BYTES).shape == (21, 34, 3)
    Image.fromarray(BYTES[:, :, :4]).save(tmp_path / "x.png")
    rgb = read_labelled_pixels(tmp_path / "x.png", (21, 34))
    assert np.array_equal(read_labelled_pixels(tmp_path / "x.png", (21, 34), UNKNOWN), rgb)
    assert UNKNOWN.picture(rgb) is rgb
    (tmp_path / "x.npy").write_bytes(b"")
    with pytest.raises(UserError, match="got an empty file"):
        read_header(tmp_path / "x.npy", UNKNOWN)


# --- pictures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pictures_have_their_own_channels(tmp_path: Path, mode: str) -> None:
    stored = BYTES[:, :, : len(mode)]
    Image.fromarray(stored[:, :, 0] if mode == "L" else stored).save(tmp_path / "x.png")
    channels = of(len(mode))
    assert np.array_equal(read_pixels(tmp_path / "x.png", channels), stored)
    assert read_header(tmp_path / "x.png", channels).channels == len(mode)
    with pytest.raises(UserError, match=rf"expected 5 channel\(s\) \(input.channels\), got {len(mode)}"):
        read_header(tmp_path / "x.png", of(5))


def test_other_modes(tmp_path: Path) -> None:
    grey = Image.fromarray(BYTES[:, :, 0])
    for picture, expected in (
        (grey.point(lambda value: 255 * (value > 127), "1"), 1),
        (grey.convert("P"), 3),
        (Image.fromarray(BYTES[:, :, 0].astype(np.uint16) * 9), 1),
    ):
        picture.save(tmp_path / "x.png")
        assert read_header(tmp_path / "x.png", ANY).channels == expected, picture.mode
        assert read_pixels(tmp_path / "x.png", of(expected)).shape == (21, 34, expected)
    Image.fromarray(BYTES[:, :, :4], "CMYK").save(tmp_path / "x.jpg")
    assert read_pixels(tmp_path / "x.jpg", of(4)).shape == (21, 34, 4)


def test_pictures_are_set_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(BYTES[:, :, :4]).save(tmp_path / "x.png", exif=exif)
    upright = read_pixels(tmp_path / "x.png", of(4))
    assert np.array_equal(upright, np.rot90(BYTES[:, :, :4], -1))
    assert np.array_equal(read_labelled_pixels(tmp_path / "x.png", (21, 34), of(4)), BYTES[:, :, :4])


def test_rgb_is_read_as_before(tmp_path: Path) -> None:
    from maskrcnn.data.images import read_image

    Image.fromarray(BYTES[:, :, :4]).save(tmp_path / "x.png")
    assert np.array_equal(read_pixels(tmp_path / "x.png"), read_image(tmp_path / "x.png"))
    content = io.BytesIO()
    Image.fromarray(BYTES[:, :, :3]).save(content, "PNG")
    assert np.array_equal(read_pixels_of(content.getvalue(), "x"), BYTES[:, :, :3])
