"""TIFF: what Pillow cannot read of it, and the library that would write its complaints to the terminal itself."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import BinaryIO

import PIL
from PIL.TiffImagePlugin import ImageFileDirectory_v2

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
        return f"{tags.get(_SAMPLES_PER_PIXEL, 1)} x {bits}-bit {_FORMATS.get(kind, 'numbers')} per pixel"
    except Exception:  # a damaged directory can go wrong anywhere
        return ""


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
