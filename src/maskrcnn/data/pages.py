"""Files with several pictures, of which the first is read: pages of a TIFF, frames of a PNG or a WebP."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Literal

from maskrcnn.data.images import TIFF, ImagePath
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular

_KIND, _WIDTH, _HEIGHT = 254, 256, 257
_SMALLER, _MASK = 1, 4
"""TIFF's bits of a picture's kind: a preview or a level of a pyramid, and the mask of another picture."""

_SIZES = {3: 2, 4: 4}
"""Bytes of TIFF's short and long numbers."""

_LOOKED_AT = 8
"""Pictures of a TIFF; a scanner's slide begins with its preview and levels."""

_MOST_TAGS = 4096

_PNG = b"\x89PNG\r\n\x1a\n"


def has_several_pages(path: ImagePath) -> bool:
    """Whether there are pages or frames behind the first, without decoding; False where the file does not tell."""
    try:
        with open_regular(path, "an image") as stream:
            start = stream.read(16)
            if start.startswith(TIFF):
                return _is_paged(stream, start)
            if start.startswith(_PNG):
                return any(kind == b"acTL" and number > 1 for kind, number in _png_parts(stream))
            return start.startswith(b"RIFF") and len(list(islice(_webp_frames(stream), 2))) > 1
    except (UserError, OSError, struct.error, KeyError, OverflowError, ValueError):  # a broken file
        return False


def _is_paged(stream: BinaryIO, start: bytes) -> bool:
    """Whether a further picture is no mask, no preview and no level of a pyramid."""
    first, *others = islice(_tiff_directories(stream, start), _LOOKED_AT)
    return any(
        not tags.get(_KIND, 0) & (_SMALLER | _MASK) and any(tags[side] >= first[side] for side in (_WIDTH, _HEIGHT))
        for tags in others
    )


def _tiff_directories(stream: BinaryIO, start: bytes) -> Iterator[dict[int, int]]:
    """The tags of each picture that are whole numbers; of a TIFF or a BigTIFF."""
    order: Literal["little", "big"] = "little" if start.startswith(b"II") else "big"
    sign, is_big = "<" if order == "little" else ">", 43 in start[2:4]
    offset, count = (f"{sign}Q", f"{sign}Q") if is_big else (f"{sign}L", f"{sign}H")
    entry = f"{sign}HHQ8s" if is_big else f"{sign}HHL4s"
    (place,) = struct.unpack_from(offset, start, 8 if is_big else 4)
    seen = {0}
    while place not in seen:
        seen.add(place)
        stream.seek(place)
        (number,) = struct.unpack(count, stream.read(struct.calcsize(count)))
        content = stream.read(min(number, _MOST_TAGS) * struct.calcsize(entry))
        yield {
            tag: int.from_bytes(value[: _SIZES[kind]], order)
            for tag, kind, _, value in struct.iter_unpack(entry, content)
            if kind in _SIZES
        }
        (place,) = struct.unpack(offset, stream.read(struct.calcsize(offset)))


def _png_parts(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The kinds of the parts before the pixels, and the first number in each."""
    place = 8
    while True:
        stream.seek(place)
        head = stream.read(12)
        if len(head) < 12 or head[4:8] == b"IDAT":
            return
        yield head[4:8], int.from_bytes(head[8:])
        place += 12 + int.from_bytes(head[:4])


def _webp_frames(stream: BinaryIO) -> Iterator[int]:
    """Where the frames of an animation begin."""
    place = 12
    while True:
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            return
        if head[:4] == b"ANMF":
            yield place
        length = int.from_bytes(head[4:], "little")
        place += 8 + length + length % 2
