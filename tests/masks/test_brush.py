"""Label Studio's brush."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.masks.brush import decode_brush, encode_brush


def test_the_known_answer_(shared: Path) -> None:
    """From the tests of Label Studio's own converter."""
    known = json.loads((shared / "data/formats/label_studio/brush_known_answer.json").read_text())
    assert decode_brush(known["rle"], len(known["array"])).tolist() == known["array"]


@pytest.mark.parametrize(
    "stream",
    [None, "text", [], [1, 2], [0, 0, 0, 18, 57, 27, 252], [300], [1.5], [255] * 50, [0] * 50],
)
def test_a_broken_brush_is_an_error(stream: Any) -> None:
    with pytest.raises(UserError, match="expected a brush"):
        decode_brush(stream, 18)


def test_long_and_short_runs() -> None:
    bitmap = np.zeros((300, 300), np.uint8)
    bitmap[10, 10], bitmap[100:290, :] = 1, 1
    pixels = decode_brush(encode_brush(bitmap), 4 * bitmap.size).reshape(300, 300, 4)
    assert np.array_equal(pixels[..., 3] > 0, bitmap > 0)
