from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from maskrcnn.data import pixels
from maskrcnn.data.channels import Channels
from maskrcnn.data.pixels import STRETCH_PERCENTILES, channel_bytes, rgb_pixels
from maskrcnn.data.windowed.values import ToBytes

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (13, 7), dtype=np.uint8)


def whole(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """The stretch rule on a whole picture at once: the plain form."""
    numbers = values.astype(np.float32)
    finite = np.isfinite(numbers)
    if not finite.any():
        return np.zeros(numbers.shape, np.uint8)
    low, high = np.percentile(numbers[finite], STRETCH_PERCENTILES)
    if low == high:
        return np.zeros(numbers.shape, np.uint8)
    scaled = (np.where(finite, numbers, low) - low) * (255.0 / (high - low))
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), dtype=np.uint8)


def holed(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    values[3, 2:5] = np.nan, np.inf, -np.inf
    return values


@pytest.mark.parametrize("strip", [1, 7, 20, 1 << 20])
@pytest.mark.parametrize(
    "values",
    [
        RNG.integers(0, 65536, (13, 7)).astype(np.uint16),
        RNG.integers(0, 65536, (13, 7)).astype(">u2"),
        RNG.integers(-(2**31), 2**31, (13, 7)).astype(np.int32),
        holed(RNG.normal(size=(13, 7)).astype(np.float32) * 1e6),
        np.full((13, 7), np.nan, np.float32),
        np.full((13, 7), 7, np.uint16),
    ],
    ids=["uint16", "big-endian", "int32", "float", "nan", "one value"],
)
def test_stretched_in_strips_as_at_once(
    values: npt.NDArray[np.generic], strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "_STRIP", strip)
    found = rgb_pixels(Image.fromarray(values))
    np.testing.assert_array_equal(found, np.repeat(whole(values)[:, :, None], 3, axis=2))


def test_few_bright_spots_on_an_even_ground_are_seen() -> None:
    """Five pixels of 10 000 lie beyond both percentiles, which are equal; the ends are stretched instead."""
    values = np.full((100, 100), 300, np.uint16)
    values[40, 50:55] = 1300, 1300, 1300, 1300, 900
    expected = np.zeros((100, 100), np.uint8)
    expected[40, 50:55] = 255, 255, 255, 255, 153
    assert np.array_equal(rgb_pixels(Image.fromarray(values))[..., 1], expected)
    assert np.array_equal(channel_bytes(values.astype(np.float32)), expected)
    assert np.array_equal(ToBytes.of(values)(values)[..., 1], expected)
    drawn = Channels(1, rgb=False).picture((values // 10).astype(np.uint8)[..., None])
    assert np.array_equal(drawn[..., 1], expected)


def picture(mode: str) -> Image.Image:
    image = Image.fromarray(BYTES)
    if mode == "P":
        image = image.convert("P")
        image.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())
        image.info["transparency"] = 5
        return image
    if mode in ("RGBA", "CMYK"):
        return Image.fromarray(RNG.integers(0, 256, (13, 7, 4), dtype=np.uint8), mode)
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("turn", [None, *Image.Transpose])
def test_any_mode_and_turn_in_strips_as_pillow_does_it_at_once(
    mode: str, turn: Image.Transpose | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(mode)
    expected = image
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        expected = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    expected = expected.convert("RGB")
    expected = expected if turn is None else expected.transpose(turn)
    monkeypatch.setattr(pixels, "_STRIP", 20)
    found = rgb_pixels(image, turn)
    np.testing.assert_array_equal(found, np.asarray(expected))
    assert found.flags.c_contiguous and found.flags.writeable
