"""TIFF: what Pillow cannot read of it, or reads wrong, and the library whose complaints would go to the terminal."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import BinaryIO

import PIL
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from maskrcnn.errors import UserError

_PLANES, _APART = 284, 2
_SAMPLES_PER_PIXEL, _BITS_PER_SAMPLE, _SAMPLE_FORMAT = 277, 258, 339
_FORMATS = {1: "whole numbers", 2: "signed numbers", 3: "floating-point numbers", 5: "complex numbers"}


def unread_kind(stream: BinaryIO) -> str:
    """What the pixels of a TIFF consist of, for a message that they cannot be read; empty where it does not say."""
    try:
        stream.seek(0)
        header = stream.read(8)
        tags = ImageFileDirectory_v2(header + (stream.read(8) if 43 in header[2:4] else b""))  # 43: BigTIFF
        stream.seek(tags.next)
        tags.load(stream)
        bits, kind = tags.get(_BITS_PER_SAMPLE, (1,))[0], tags.get(_SAMPLE_FORMAT, (1,))[0]
        planes = ", one plane behind the other" if tags.get(_PLANES) == _APART else ""
        return f"{tags.get(_SAMPLES_PER_PIXEL, 1)} x {bits}-bit {_FORMATS.get(kind, 'numbers')} per pixel{planes}"
    except Exception:  # a damaged directory can go wrong anywhere
        return ""


def require_well_read(image: ImageFile) -> None:
    """Refuse planes of more than 8 bits, one behind the other and not compressed: Pillow takes half of their bytes.

    Raises:
        UserError: it is such a TIFF.
    """
    if not isinstance(image, TiffImageFile) or image.tag_v2.get(_PLANES) != _APART:
        return
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
    if len(bits) > 1 and max(bits) > 8 and any(tile[0] == "raw" for tile in image.tile):
        raise UserError(
            f"a TIFF of {len(bits)} planes of {max(bits)} bits, which Pillow reads wrong; save it with the "
            "channels of each pixel together, or give the file to a command or a model where tifffile is installed"
        )


@cache
def silence_libtiff() -> None:
    """Silence libtiff: it writes past Python, in the middle of other output. Pillow reports the error too.

    Done where Pillow brings its own libtiff (its wheels do); other programs' copies are left alone.
    """
    for file in Path(PIL.__file__).parent.parent.glob("[Pp]illow.libs/libtiff*"):
        try:
            library = ctypes.CDLL(str(file), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            for kind in ("Error", "Warning"):
                setter = getattr(library, f"TIFFSet{kind}Handler")
                setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
                setter(None)
        except (AttributeError, OSError):  # another build of it, which goes on writing
            return
