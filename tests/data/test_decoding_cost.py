"""Small files that claim or cause a great deal; each is made here, and the dear ones are refused before decoding."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data import decoding_cost
from maskrcnn.data.decoding_cost import MAX_SCANS, num_scans
from maskrcnn.data.images import read_header, read_image
from maskrcnn.errors import UserError

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def written(image: Image.Image, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def blank_png(width: int, height: int, depth: int, colour_type: int, more: bytes = b"") -> bytes:
    """A whole PNG file of zeros."""
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[colour_type]
    packer, row = zlib.compressobj(1), bytes(1 + (width * depth * channels + 7) // 8)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


# --- scans ------------------------------------------------------------------------------------------------------


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated, as the standard does not forbid."""
    content = written(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    last = content[content.rfind(b"\xff\xda") : -2]
    missing = count - num_scans(content)
    return content[:-2] + last * missing + b"\xff\xd9"


def test_scans_are_counted() -> None:
    assert num_scans(written(NOISE, "JPEG")) == 1
    assert num_scans(written(NOISE, "JPEG", progressive=True)) == 10  # the script of libjpeg for colours
    assert num_scans(written(NOISE.convert("L"), "JPEG", progressive=True)) == 6


def test_scans_of_a_thumbnail_and_of_what_follows_the_picture_do_not_count() -> None:
    content = written(NOISE, "JPEG", progressive=True)
    inside = b"\xff\xda" * 200
    segment = b"\xff\xe2" + struct.pack(">H", len(inside) + 2) + inside
    assert num_scans(content[:2] + segment + content[2:] + inside) == 10
    assert num_scans(content[: len(content) // 2]) < 10  # cut short: counted as far as it goes
    assert num_scans(b"\xff\xd8\xff") == 0


@pytest.mark.parametrize(("count", "fine"), [(MAX_SCANS, True), (MAX_SCANS + 1, False), (3000, False)])
def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path, count: int, fine: bool) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(many_scans(count))
    if fine:
        assert read_image(path).shape == (64, 64, 3)
    else:
        with pytest.raises(UserError, match=rf"x\.jpg: a JPEG of {count} scans, more than the limit of {MAX_SCANS}"):
            read_image(path)
    assert read_header(path).size == (64, 64)


# --- memory -----------------------------------------------------------------------------------------------------

PALETTE = chunk(b"PLTE", bytes([1, 2, 3, 4, 5, 6]))
GIANTS = {
    "1-bit": blank_png(3000, 3000, 1, 0),
    "palette": blank_png(3000, 3000, 8, 3, PALETTE),
    "transparent palette": blank_png(3000, 3000, 8, 3, PALETTE + chunk(b"tRNS", b"\0")),
    "16-bit": blank_png(3000, 3000, 16, 0),
    "RGB": blank_png(3000, 3000, 8, 2),
    "RGBA": blank_png(3000, 3000, 8, 6),
    "wide": blank_png(10_000_000, 1, 8, 2),
    "tall": blank_png(1, 1_000_000, 8, 2),
    "WebP": written(Image.new("RGB", (3000, 3000)), "WEBP", lossless=True, method=0),
    "progressive JPEG": written(Image.new("RGB", (3000, 3000)), "JPEG", progressive=True),
}
MEASURE = """
import sys
from pathlib import Path
from maskrcnn.data.decoding_cost import bytes_to_decode
from maskrcnn.data.images import _opened, read_image
def held(field): return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) * 1024
for name in sys.argv[1:]:
    with open(name, "rb") as stream, _opened(name, 10**9) as image:
        needed = bytes_to_decode(image, 10 if image.format == "JPEG" else 1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = held("VmRSS")
    read_image(name)
    print(needed, held("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's report on a process's memory")
def test_no_picture_takes_more_than_was_weighed(tmp_path: Path) -> None:
    for name, content in GIANTS.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", MEASURE, *(str(tmp_path / name) for name in GIANTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    strips = 64 * 2**20  # what is converted at a time, and the one row of the wide picture
    for name, line in zip(GIANTS, done.stdout.splitlines(), strict=True):
        needed, taken = map(int, line.split())
        assert 0.3 * needed < taken + strips and taken < needed + strips, name


@pytest.mark.parametrize("name", GIANTS)
def test_what_does_not_fit_is_refused_before_decoding(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(self: object, *_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(decoding_cost, "ALWAYS_FREE", 0)
    monkeypatch.setattr(decoding_cost, "free_bytes", lambda: 5_000_000)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    (tmp_path / "x").write_bytes(GIANTS[name])
    with pytest.raises(UserError, match=r"x: \d+ x \d+ pixels take 0\.\d GB of memory to decode, but 0\.0 GB are free"):
        read_image(tmp_path / "x")


def test_where_nothing_is_known_of_the_memory_everything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_cost, "ALWAYS_FREE", 0)
    monkeypatch.setattr(decoding_cost, "free_bytes", lambda: None)
    (tmp_path / "x").write_bytes(GIANTS["1-bit"])
    assert read_image(tmp_path / "x").shape == (3000, 3000, 3)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("extended", [True, False])
def test_a_webp_is_weighed_before_it_is_opened(
    tmp_path: Path, lossless: bool, extended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"} if extended else {}
    (tmp_path / "x").write_bytes(written(NOISE, "WEBP", lossless=lossless, **options))
    assert read_header(tmp_path / "x").size == (48, 64)
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile._open", lambda self: pytest.fail("opened"))
    with pytest.raises(UserError, match="claims 64 x 48 pixels, more than the limit of 1000"):
        read_header(tmp_path / "x", 1000)


def test_memory_that_ends_all_the_same_is_no_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", end)
    (tmp_path / "x").write_bytes(written(NOISE, "PNG"))
    with pytest.raises(UserError, match="x: not enough memory to decode this image; cut it into tiles"):
        read_image(tmp_path / "x")
