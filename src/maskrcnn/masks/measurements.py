"""Measurements of objects by their masks, with the names and definitions of scikit-image's `regionprops`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import BoolArray, FloatArray, Masks

SHAPE = (
    "area",
    "perimeter",
    "centroid_x",
    "centroid_y",
    "equivalent_diameter_area",
    "axis_major_length",
    "axis_minor_length",
    "eccentricity",
    "orientation",
)
"""What the mask alone tells."""

LENGTHS = (
    "perimeter",
    "centroid_x",
    "centroid_y",
    "equivalent_diameter_area",
    "axis_major_length",
    "axis_minor_length",
)
"""Those in pixels; the area is in square pixels, the orientation in radians."""

INTENSITY = "intensity_mean"


def measure(masks: Masks, image: npt.NDArray[Any] | None = None, pixel_size: float = 1.0) -> dict[str, FloatArray]:
    """Measure D objects.

    Args:
        masks: the objects.
        image: (H, W, C) numbers of any kind, their image, for `intensity_mean`: the mean of all channels over the
            object's pixels.
        pixel_size: the length of a pixel's side in the unit that the numbers are to have, such as 0.25 micrometres.

    Returns:
        (D,) values by their names. An ellipse of the same second moments has the two axes; `orientation` is the angle
        of the longer one to the vertical, from -pi/2 to pi/2, against the clock. Centroids are continuous coordinates:
        half a pixel more than scikit-image's, which counts from the first pixel's centre. NaN where a mask is empty,
        but its area is 0.
    """
    rows = np.array([_shape(masks.crop(index).view(bool)) for index in range(len(masks))]).reshape(-1, len(SHAPE))
    values: dict[str, FloatArray] = dict(zip(SHAPE, rows.T, strict=True))
    corners = masks.windows[:, :2].astype(np.float64)
    values["centroid_x"], values["centroid_y"] = (
        values["centroid_x"] + corners[:, 0],
        values["centroid_y"] + corners[:, 1],
    )
    values["area"] = values["area"] * pixel_size**2
    values.update({name: values[name] * pixel_size for name in LENGTHS})
    return values if image is None else {**values, INTENSITY: np.array(list(_intensities(masks, image)), np.float64)}


def _shape(mask: BoolArray) -> tuple[float, ...]:
    """The values of `SHAPE`, in pixels of the crop (h, w)."""
    ys, xs = np.nonzero(mask)
    area = len(xs)
    if area == 0:
        return (0.0, *[float("nan")] * (len(SHAPE) - 1))
    x, y = float(xs.mean()), float(ys.mean())
    dx, dy = xs - x, ys - y
    major, minor, orientation = _ellipse(float((dx * dx).mean()), float((dy * dy).mean()), float((dx * dy).mean()))
    eccentricity = np.sqrt(1 - minor / major) if major > 0 else 0.0
    axes = (4 * np.sqrt(major), 4 * np.sqrt(minor))
    centroid = (x + PIXEL_CENTRE, y + PIXEL_CENTRE)
    return (area, perimeter(mask), *centroid, np.sqrt(4 * area / np.pi), *axes, eccentricity, orientation)


def _ellipse(xx: float, yy: float, xy: float) -> tuple[float, float, float]:
    """The larger and the smaller variance along an axis, and the angle of the first, from the central moments."""
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    angle = 0.5 * np.arctan2(2 * xy, yy - xx) if xx != yy else np.copysign(np.pi / 4, xy)
    return float(middle + spread), max(float(middle - spread), 0.0), float(angle)


_STEPS = np.zeros(50)
_STEPS[[5, 7, 15, 17, 25, 27]] = 1
_STEPS[[21, 33]] = np.sqrt(2)
_STEPS[[13, 23]] = (1 + np.sqrt(2)) / 2
"""Length of the outline in a border pixel, by the sum of its own and its neighbours' weights."""


def perimeter(mask: BoolArray) -> float:
    """The length of the line through the centres of the border pixels (Benkrid & Crookes 2000)."""
    import cv2

    bitmap = np.pad(mask.view(np.uint8), 1)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    border = bitmap - cv2.erode(bitmap, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    weights = np.array([[10, 2, 10], [2, 1, 2], [10, 2, 10]], np.float32)
    sums = cv2.filter2D(border, -1, weights, borderType=cv2.BORDER_CONSTANT)
    return float(np.bincount(sums.ravel(), minlength=50) @ _STEPS)


def _intensities(masks: Masks, image: npt.NDArray[Any]) -> Iterator[float]:
    for index, (x1, y1, x2, y2) in enumerate(masks.windows.tolist()):
        inside = image[y1:y2, x1:x2][masks.crop(index).view(bool)]
        yield float(inside.mean()) if inside.size else float("nan")
