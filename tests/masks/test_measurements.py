from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.measurements import INTENSITY, SHAPE, measure
from maskrcnn.structures import MaskCrops


def blobs(count: int, generator: np.random.Generator) -> np.ndarray:
    """Masks of all kinds: noise, blots, several parts, holes, thin lines, single pixels; some touch the border."""
    import cv2

    masks = np.zeros((count, 40, 48), np.uint8)
    for index, mask in enumerate(masks):
        x, y = generator.integers(0, 40, 2).tolist()
        if index % 4 == 0:
            cv2.ellipse(mask, (x, y), (int(x % 17) + 1, int(y % 11) + 1), float(x * 7), 0, 360, 1, -1)
        elif index % 4 == 1:
            cv2.line(mask, (x, y), (int(y), int(x)), 1, 1)
        elif index % 4 == 2:
            mask[:] = cv2.GaussianBlur(generator.random((40, 48)), (0, 0), 3) > 0.52
        else:
            mask[:] = generator.random((40, 48)) > 0.6
        mask[y, x] = 1
    return masks


@pytest.mark.parametrize("pixel_size", [1.0, 0.25])
def test_equal_to_scikit_image(pixel_size: float) -> None:
    regionprops = pytest.importorskip("skimage.measure").regionprops
    generator = np.random.default_rng(0)
    masks = blobs(200, generator)
    image = generator.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    found = measure(MaskCrops.from_bitmaps(masks), image, pixel_size)
    assert set(found) == {*SHAPE, INTENSITY}
    for index, mask in enumerate(masks):
        (region,) = regionprops(mask, image, spacing=(pixel_size, pixel_size))
        y, x = (value + 0.5 * pixel_size for value in region.centroid)
        expected = {name: getattr(region, name) for name in SHAPE if not name.startswith("centroid")}
        expected |= {"centroid_x": x, "centroid_y": y, INTENSITY: float(np.mean(region.intensity_mean))}
        own = {name: values[index] for name, values in found.items()}
        if np.isclose(expected["axis_major_length"], expected["axis_minor_length"], rtol=1e-9):
            del expected["orientation"]  # of a circle there is none
        for name, value in expected.items():
            assert own[name] == pytest.approx(value, rel=1e-6, abs=2e-6), (index, name)


def test_of_a_bar_by_hand() -> None:
    """Two pixels high, four wide: variances 1.25 and 0.25, so axes 4 sqrt(1.25) and 2; it lies across."""
    mask = np.zeros((1, 8, 10), np.uint8)
    mask[0, 3:5, 2:6] = 1
    found = {name: float(values[0]) for name, values in measure(MaskCrops.from_bitmaps(mask)).items()}
    assert found == pytest.approx(
        {
            "area": 8,
            "perimeter": 8,
            "centroid_x": 4,
            "centroid_y": 4,
            "equivalent_diameter_area": (32 / np.pi) ** 0.5,
            "axis_major_length": 4 * 1.25**0.5,
            "axis_minor_length": 2,
            "eccentricity": 0.8**0.5,
            "orientation": np.pi / 2,
        }
    )


def test_of_an_empty_mask_and_of_none() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    found = measure(MaskCrops.from_bitmaps(np.zeros((1, 4, 4), np.uint8)), image)
    assert found["area"].tolist() == [0] and all(np.isnan(found[name]).all() for name in found if name != "area")
    none = measure(MaskCrops.from_bitmaps(np.zeros((0, 4, 4), np.uint8)), image)
    assert {values.shape for values in none.values()} == {(0,)}
