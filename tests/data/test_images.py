from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.arrays import array_pixels
from maskrcnn.data.images import image_size, read_header, read_image, read_labelled_image
from maskrcnn.errors import UserError

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)
COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file name that says nothing about the format."""
    return tmp_path / "picture.dat"


def save(image: Image.Image, path: Path, image_format: str = "PNG", **options: object) -> Path:
    image.save(path, image_format, **options)
    return path


# --- formats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"big_tiff": True}),
    ],
)
def test_lossless_formats_give_the_exact_pixels(path: Path, image_format: str, options: dict[str, object]) -> None:
    pixels = read_image(save(Image.fromarray(COLOURS), path, image_format, **options))
    np.testing.assert_array_equal(pixels, COLOURS)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable
    assert image_size(path) == (5, 7)


def test_big_endian_tiff(path: Path) -> None:
    """2 x 1 grey pixels, written by hand: Pillow writes little-endian files only."""
    fields = [(256, 2), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 2)]
    entries = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in fields)
    directory = struct.pack(">H", len(fields)) + entries + struct.pack(">I", 0)
    path.write_bytes(b"MM\0*" + struct.pack(">I", 10) + bytes([10, 200]) + directory)
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [10, 200])


def test_jpeg_is_close(path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 32, dtype=np.uint8)[:, None, None], (1, 32, 3))
    pixels = read_image(save(Image.fromarray(smooth), path, "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - smooth).max() <= 3


def test_first_picture_of_several(path: Path) -> None:
    first, second = Image.new("RGB", (4, 3), RED), Image.new("RGB", (4, 3), WHITE)
    save(first, path, "TIFF", save_all=True, append_images=[second])
    assert read_image(path)[0, 0].tolist() == list(RED)


@pytest.mark.parametrize("image_format", ["GIF", "ICO", "PPM", "TGA", "JPEG2000"])
def test_other_formats_are_refused(path: Path, image_format: str) -> None:
    with pytest.raises(UserError, match=r"picture\.dat: expected a JPEG, PNG, WebP, TIFF or BMP image"):
        read_image(save(Image.new("RGB", (16, 16)), path, image_format))


# --- modes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, WHITE),
        ("L", 100, (100, 100, 100)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("LA", (100, 255), (100, 100, 100)),
        ("LA", (100, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 0), WHITE),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black over white
    ],
)
def test_modes_of_png(path: Path, mode: str, colour: object, expected: tuple[int, ...]) -> None:
    pixels = read_image(save(Image.new(mode, (4, 3), colour), path))
    assert pixels.shape == (3, 4, 3)
    assert pixels[1, 2].tolist() == list(expected)


def test_palette(path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    np.testing.assert_array_equal(read_image(save(image, path)), [[[200, 100, 0], [10, 20, 30]]])


def test_transparent_palette_entry_becomes_white(path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    np.testing.assert_array_equal(read_image(save(image, path, transparency=1)), [[WHITE, [10, 20, 30]]])


def test_transparent_colour_becomes_white(path: Path) -> None:
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), (0, 255, 0))
    np.testing.assert_array_equal(read_image(save(image, path, transparency=(0, 255, 0))), [[RED, WHITE]])


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk(path: Path, image_format: str) -> None:
    cyan = read_image(save(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), path, image_format))[4, 4]
    assert cyan[0] <= 2 and cyan[1] >= 253 and cyan[2] >= 253


def test_grey_jpeg(path: Path) -> None:
    assert read_image(save(Image.new("L", (8, 8), 100), path, "JPEG"))[4, 4].tolist() == [100, 100, 100]


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_stretched_over_its_own_range(path: Path, image_format: str) -> None:
    values = np.linspace(1000, 3000, 101).astype(np.uint16).reshape(1, -1)
    pixels = read_image(save(Image.fromarray(values), path, image_format))
    # The 0.1st percentile of 101 evenly spaced values is 1002, the 99.9th 2998.
    expected = np.clip((values - 1002.0) / (2998 - 1002) * 255, 0, 255)
    np.testing.assert_allclose(pixels[..., 0], expected, atol=0.51)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_one_hot_pixel_does_not_darken_the_rest(path: Path) -> None:
    values = np.tile(np.arange(100, 200, dtype=np.uint16), (100, 1))
    values[0, 0] = 65535
    assert read_image(save(Image.fromarray(values), path))[50, -1, 0] == 255


@pytest.mark.parametrize("values", [np.full((2, 3), 7, np.uint16), np.full((2, 3), np.nan, np.float32)])
def test_nothing_to_stretch_is_black(path: Path, values: np.ndarray) -> None:
    assert (read_image(save(Image.fromarray(values), path, "TIFF")) == 0).all()


def test_float_tiff_with_infinity(path: Path) -> None:
    values = np.array([[np.nan, 0.0, 0.5, 1.0, np.inf]], np.float32)
    grey = read_image(save(Image.fromarray(values), path, "TIFF"))[0, :, 0]
    assert grey[[0, 1, 3, 4]].tolist() == [0, 0, 255, 0] and abs(int(grey[2]) - 128) <= 1


def test_16_bit_colour_keeps_the_high_byte(path: Path) -> None:
    row = b"\0" + struct.pack(">HHH", 0x1234, 0xFF00, 0x00FF)
    path.write_bytes(png_file(1, 1, depth=16, colour_type=2, data=zlib.compress(row)))
    assert read_image(path).tolist() == [[[0x12, 0xFF, 0x00]]]


@pytest.mark.parametrize("brightest", [100, 4095, 16383, 16384, 65535])
@pytest.mark.parametrize(
    "form",
    ["PNG", "big-endian", "little-endian", "compressed", "tiles", "fourth channel"],
)
def test_dark_16_bit_colours_are_stretched_together(path: Path, form: str, brightest: int) -> None:
    """As grey of these values is, and as an array is; a picture that uses its range keeps the high byte."""
    values = np.random.default_rng(0).integers(0, brightest, (40, 30, 3), np.uint16, endpoint=True)
    values[0, 0] = brightest
    options: dict[str, dict[str, Any]] = {
        "big-endian": {"byteorder": ">"},
        "compressed": {"compression": "zlib", "predictor": True},
        "tiles": {"tile": (16, 16), "compression": "zlib", "byteorder": ">"},
    }
    if form == "PNG":
        rows = np.concatenate([np.zeros((40, 1), np.uint8), values.astype(">u2").view(np.uint8).reshape(40, -1)], 1)
        path.write_bytes(png_file(30, 40, depth=16, colour_type=2, data=zlib.compress(rows.tobytes())))
    else:
        tifffile = pytest.importorskip("tifffile")
        stored = np.dstack([values, np.full((40, 30), 65535, np.uint16)]) if form == "fourth channel" else values
        tifffile.imwrite(path, stored, photometric="rgb", **options.get(form, {}))
    low, high = np.percentile(values, (0.1, 99.9))
    stretched = np.rint(np.clip((values - low) * (255 / (high - low)), 0, 255))
    pixels = read_image(path)
    assert np.abs(pixels - (stretched if brightest < 1 << 14 else values >> 8)).max() <= 0.01
    assert np.array_equal(pixels, array_pixels(values))


def test_dark_16_bit_colours_that_stand_upright(path: Path) -> None:
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 40
    pytest.importorskip("tifffile").imwrite(
        path, np.dstack([values] * 3), photometric="rgb", extratags=[(274, "H", 1, 6, True)]
    )
    grey = np.rint(read_image(path)[..., 1] / 255 * 5).astype(int)
    assert grey.tolist() == UPRIGHT[6]


# --- orientation ------------------------------------------------------------------------------------------------


def oriented(path: Path, image_format: str, orientation: int) -> Path:
    """2 x 3 stored pixels (height x width) with values 0..5 times 40, and an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    values = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    options = {"lossless": True} if image_format == "WEBP" else {"quality": 100} if image_format == "JPEG" else {}
    return save(Image.fromarray(values).convert("RGB"), path, image_format, exif=exif, **options)


# What stands where after the orientation's meaning in the EXIF standard: e.g. 6: the first stored row is the right
# side of the picture, the first stored column its top.
UPRIGHT = {
    1: [[0, 1, 2], [3, 4, 5]],
    2: [[2, 1, 0], [5, 4, 3]],
    3: [[5, 4, 3], [2, 1, 0]],
    4: [[3, 4, 5], [0, 1, 2]],
    5: [[0, 3], [1, 4], [2, 5]],
    6: [[3, 0], [4, 1], [5, 2]],
    7: [[5, 2], [4, 1], [3, 0]],
    8: [[2, 5], [1, 4], [0, 3]],
}


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation(path: Path, image_format: str, orientation: int) -> None:
    oriented(path, image_format, orientation)
    grey = np.rint(read_image(path)[..., 1] / 40).astype(int)
    assert grey.tolist() == UPRIGHT[orientation]
    header = read_header(path)
    assert header.size == grey.shape and header.raw_size == (2, 3) and header.orientation == orientation


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_labels_refer_to_the_upright_picture_unless_only_the_stored_one_fits(
    path: Path, image_format: str, orientation: int
) -> None:
    oriented(path, image_format, orientation)
    upright = UPRIGHT[orientation]
    shape = (len(upright), len(upright[0]))
    assert (read_labelled_image(path, shape)[..., 0] // 40).tolist() == upright
    if orientation >= 5:
        assert (read_labelled_image(path, (2, 3))[..., 0] // 40).tolist() == UPRIGHT[1]


def test_labels_for_another_size_are_an_error(path: Path) -> None:
    save(Image.new("RGB", (40, 30)), path)
    with pytest.raises(UserError, match=r"picture\.dat: the picture is 40 x 30 but its labels are for 80 x 60"):
        read_labelled_image(path, (60, 80))


def test_unknown_orientation_is_none(path: Path) -> None:
    assert image_size(oriented(path, "PNG", 9)) == (2, 3)


# --- what is no image -------------------------------------------------------------------------------------------


def png_file(width: int, height: int, depth: int = 8, colour_type: int = 2, data: bytes = b"") -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("reader", [read_image, read_header])
def test_size_is_checked_before_decoding(path: Path, reader) -> None:
    """There are no pixels in this file, so decoding would fail with another message."""
    path.write_bytes(png_file(50_000, 40_000))
    with pytest.raises(UserError, match=r"claims 50000 x 40000 pixels, more than the limit of 200000000"):
        reader(path)


def test_limit_is_inclusive(path: Path) -> None:
    save(Image.new("RGB", (7, 5)), path)
    assert read_image(path, max_pixels=35).shape == (5, 7, 3)
    with pytest.raises(UserError, match="limit of 34"):
        read_image(path, max_pixels=34)


def test_pictures_above_pillows_own_limit_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_image(save(Image.new("RGB", (70, 50)), path)).shape == (50, 70, 3)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_every_truncation_is_a_named_error_or_the_whole_picture(path: Path, image_format: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(COLOURS).save(stream, image_format)
    content = stream.getvalue()
    whole = read_image(save(Image.fromarray(COLOURS), path, image_format))
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        try:
            pixels = read_image(path)
        except UserError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
        else:
            assert pixels.shape == whole.shape


def test_half_a_jpeg_is_not_filled_with_grey(path: Path) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "JPEG")
    path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(UserError, match="broken or incomplete image file"):
        read_image(path)


def test_empty_file(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"picture\.dat: .* got an empty file"):
        read_image(path)


def test_missing_file(path: Path) -> None:
    with pytest.raises(UserError, match=r"picture\.dat: no such file"):
        read_image(path)


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected an image, got a folder"):
        read_image(tmp_path)


def test_pipe_does_not_hang(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(UserError, match="a device or a pipe"):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\0\x20ftypisom\0\0\2\0isom", "got a video .MP4 or MOV.; save its frames as pictures first"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "got a HEIC picture; save it as PNG"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "got an AVIF picture; save it as PNG"),
        (b"<!DOCTYPE html><html>", "got an HTML page; download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "got a Git LFS pointer; get the file itself with: git lfs pull",
        ),
        (b"RIFF\0\0\0\0AVI LIST", "got a video .AVI.; save its frames"),
    ],
)
def test_what_is_something_else_is_named(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"expected a JPEG, PNG, WebP, TIFF or BMP image, {message}"):
        read_image(path)


def test_unreadable_name() -> None:
    with pytest.raises(UserError):
        read_image("a\0b.png")


def test_broken_exif_leaves_the_picture_alone(path: Path) -> None:
    save(Image.fromarray(COLOURS), path, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_image(path), COLOURS)
