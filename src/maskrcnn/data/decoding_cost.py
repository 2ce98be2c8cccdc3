"""What a picture will cost to decode, estimated before anything is decoded: a few hundred bytes may claim gigabytes.

Never by how well a file compresses: blank tiles and label images compress a thousandfold and are honest.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from maskrcnn.data.pixels import is_stretched
from maskrcnn.errors import UserError
from maskrcnn.memory import free_bytes

MAX_SCANS = 100
"""Passes over the whole picture that a JPEG may take to become sharp; encoders make about ten."""

ALWAYS_FREE = 2**28
"""Pictures that need fewer bytes are decoded without asking the system."""

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes of a pixel as Pillow keeps it; those of all other modes are four."""

_ROW = 16
"""Bytes that Pillow needs for each row: they count in a picture one pixel wide."""

_END, _SCAN, _START = 0xD9, 0xDA, 0xD8
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Of a JPEG: 00 after FF is data, D0 to D7 stand inside a scan, and FF may be repeated."""


def require_bearable(image: ImageFile, stream: BinaryIO) -> None:
    """Refuse a picture whose decoding would take more memory than is free, or thousands of passes.

    Args:
        image: opened, not decoded.
        stream: the file it was opened from; left where it is.

    Raises:
        UserError: without the name of the file.
    """
    scans = _num_scans_of(image, stream)
    if scans > MAX_SCANS:
        raise UserError(
            f"a JPEG of {scans} scans, more than the limit of {MAX_SCANS}; save it again, as baseline JPEG or PNG"
        )
    require_free(bytes_to_decode(image, scans), image.size)


def require_free(needed: int, size: tuple[int, int]) -> None:
    """A `UserError` where so many bytes are more than is free, for a picture of (width, height)."""
    free = free_bytes() if needed > ALWAYS_FREE else None
    if free is not None and needed > free:
        raise UserError(
            f"{size[0]} x {size[1]} pixels take {needed / 1e9:.1f} GB of memory to decode, but "
            f"{free / 1e9:.1f} GB are free; cut it into tiles, make it smaller, or free some memory"
        )


def bytes_to_decode(image: ImageFile, scans: int = 1) -> int:
    """The most memory that is held at a time while an opened image becomes RGB: an estimate, rather too high."""
    stored = _STORED.get(image.mode, 4)
    result = 4 if is_stretched(image.mode) else 3  # the numbers whose percentiles are taken, then the bytes
    return image.width * image.height * (stored + _decoder(image, stored, scans) + result) + image.height * _ROW


def _decoder(image: ImageFile, stored: int, scans: int) -> int:
    """Bytes for each pixel that the format's library holds."""
    if isinstance(image, WebPImageFile):
        return 16  # two canvases, the picture inside, and a copy for Pillow; RGBA each
    if isinstance(image, JpegImageFile):
        return 2 * image.layers if scans > 1 else 0  # all coefficients, until the last scan
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(258, (8,))  # a strip may be the whole picture; set upright, it is copied
        return max(stored, (sum(bits) + 7) // 8 if isinstance(bits, tuple) else stored)
    return 0


def num_scans(content: bytes) -> int:
    """How many scans the first picture of a JPEG file has."""
    scans, position = 0, 2
    while found := _MARKER.search(content, position):
        marker, position = content[found.end() - 1], found.end()
        if marker == _END:
            break
        scans += marker == _SCAN
        if marker not in (0x01, _START):  # the others say how long they are
            position += int.from_bytes(content[position : position + 2])
    return scans


def _num_scans_of(image: ImageFile, stream: BinaryIO) -> int:
    """How many scans the decoder will go through: one if the first has all the colours at once and is final."""
    if not isinstance(image, JpegImageFile):
        return 1
    start = stream.read(3)  # Pillow stops behind the marker of the first scan: its length, and how many colours
    stream.seek(-len(start), 1)
    if start[2:] == bytes([image.layers]) and not image.info.get("progressive"):
        return 1
    return num_scans(_whole(stream))


def _whole(stream: BinaryIO) -> bytes:
    position = stream.tell()
    stream.seek(0)
    content = stream.read()
    stream.seek(position)
    return content
