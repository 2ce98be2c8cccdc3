"""Pictures as `data:` addresses, so that an HTML page needs no other file."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image

from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.shrinking import at_most


def inline_jpeg(picture: ByteArray, longest_side: int, quality: int = 82) -> str:
    """The address of an (H, W, 3) RGB picture as JPEG, made smaller if a side is longer than that."""
    return _address(Image.fromarray(at_most(picture, longest_side)), "JPEG", quality=quality)


def jpeg_bytes(picture: ByteArray, longest_side: int, quality: int = 82) -> bytes:
    """An (H, W, 3) RGB picture as a JPEG file, made smaller if a side is longer than that."""
    buffer = BytesIO()
    Image.fromarray(at_most(picture, longest_side)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def inline_palette_png(values: ByteArray, palette: ByteArray) -> str:
    """The address of an (H, W) picture of palette indices as PNG; `palette` is (256, 3) RGB."""
    image = Image.fromarray(np.ascontiguousarray(values), "P")
    image.putpalette(palette.tobytes())
    return _address(image, "PNG", optimize=True)


def _address(image: Image.Image, kind: str, **options: int) -> str:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{b64encode(buffer.getvalue()).decode()}"
