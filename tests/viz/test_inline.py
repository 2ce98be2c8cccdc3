from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import numpy as np
from PIL import Image

from maskrcnn.viz.inline import inline_jpeg, inline_palette_png


def opened(address: str, kind: str) -> Image.Image:
    start, data = address.split(",", 1)
    assert start == f"data:image/{kind};base64"
    return Image.open(BytesIO(b64decode(data)))


def test_jpeg_is_shrunk_but_never_enlarged() -> None:
    picture = np.full((40, 80, 3), (200, 30, 90), np.uint8)
    assert opened(inline_jpeg(picture, 20), "jpeg").size == (20, 10)
    image = opened(inline_jpeg(picture, 500), "jpeg")
    assert image.size == (80, 40)
    assert np.abs(np.array(image).astype(int) - picture).max() < 12


def test_palette_png_is_exact() -> None:
    values = np.array([[0, 1], [7, 255]], np.uint8)
    palette = np.random.default_rng(0).integers(0, 255, (256, 3), dtype=np.uint8)
    assert np.array_equal(np.array(opened(inline_palette_png(values, palette), "png").convert("RGB")), palette[values])
