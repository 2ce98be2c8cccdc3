"""View: which part of an image is seen, at which size, which way round.

Every geometric change (resize, crop, flip, quarter turn) composes into one view, so that the picture is resampled
once, and points, boxes and masks go through the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from maskrcnn.structures import Size
from maskrcnn.structures.masks import ByteArray, FloatArray, IntArray

FloatMatrix = npt.NDArray[np.float32]

Window = tuple[int, int, int, int]
"""x1, y1, x2, y2 in whole pixels, half open."""


@dataclass(frozen=True)
class View:
    """Cut `window` out of the image, resize that to `size`, then transpose it, then mirror it, as said.

    Transposing and two mirrors make all eight ways to lay down a rectangle.

    Attributes:
        window: part of the `original` image; not empty.
        size: (height, width) the part is resized to, before it is transposed.
        transposed: swap x and y.
        flipped_x: mirror left and right, after transposing.
        flipped_y: mirror top and bottom, after transposing.
    """

    window: Window
    size: Size
    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False

    @classmethod
    def whole(cls, original: Size, size: Size | None = None) -> View:
        """The whole image of size `original`, resized."""
        return cls((0, 0, original[1], original[0]), size or original)

    def flip(self, horizontal: bool = False, vertical: bool = False) -> View:
        """Mirror what is seen."""
        return replace(self, flipped_x=self.flipped_x ^ horizontal, flipped_y=self.flipped_y ^ vertical)

    def turn(self, quarters: int) -> View:
        """Turn what is seen by quarter turns, counter-clockwise."""
        view = self
        for _ in range(quarters % 4):  # a quarter turn is a transposition and then a mirror top to bottom
            view = replace(
                view,
                transposed=not view.transposed,
                flipped_x=view.flipped_y,
                flipped_y=not view.flipped_x,
            )
        return view

    @property
    def output_size(self) -> Size:
        """(height, width) of what comes out."""
        height, width = self.size
        return (width, height) if self.transposed else (height, width)

    @property
    def mirrored(self) -> bool:
        """Whether left and right have changed places: an odd number of mirrors; turns change nothing."""
        return self.transposed ^ self.flipped_x ^ self.flipped_y

    @property
    def scale(self) -> tuple[float, float]:
        """Output pixels per original pixel along the original's x and y."""
        x1, y1, x2, y2 = self.window
        return self.size[1] / (x2 - x1), self.size[0] / (y2 - y1)

    @cached_property
    def matrix(self) -> FloatArray:
        """The (2, 3) affine map from original (x, y, 1) to output (x, y), continuous coordinates."""
        (scale_x, scale_y), (x1, y1, _, _) = self.scale, self.window
        matrix = np.array([[scale_x, 0.0, -x1 * scale_x], [0.0, scale_y, -y1 * scale_y]])
        if self.transposed:
            matrix = matrix[::-1].copy()
        for row, (flipped, side) in enumerate(
            ((self.flipped_x, self.output_size[1]), (self.flipped_y, self.output_size[0]))
        ):
            if flipped:  # x -> side - x
                matrix[row] = -matrix[row]
                matrix[row, 2] += side
        return matrix

    def image(self, pixels: ByteArray, antialias: bool = True) -> ByteArray:
        """The (H, W, C) image as seen; may share memory with `pixels`."""
        x1, y1, x2, y2 = self.window
        return self.seen(pixels[y1:y2, x1:x2], antialias)

    def seen(self, part: ByteArray, antialias: bool = True) -> ByteArray:
        """The same from the pixels (h, w, C) of the window alone."""
        return self._oriented(resize(part, self.size, antialias))

    def bitmap(self, crop: ByteArray, window: Window) -> tuple[ByteArray, Window]:
        """A mask as seen: each output pixel belongs to it of which the mask covers at least half.

        Args:
            crop: (h, w) uint8 of 0 and 1.
            window: where in the original image the crop lies, within this view's window.

        Returns:
            the crop as seen, and where in the output it lies.
        """
        (x1, y1, x2, y2), (left, top), (scale_x, scale_y) = window, self.window[:2], self.scale
        rows = _touched_cells(y1 - top, y2 - top, scale_y, self.size[0])
        columns = _touched_cells(x1 - left, x2 - left, scale_x, self.size[1])
        covered = _cell_means(crop.astype(np.float32), rows / scale_y - (y1 - top), scale_y)
        covered = _cell_means(covered.T, columns / scale_x - (x1 - left), scale_x).T
        seen = (covered >= 0.5 - _ROUNDING).astype(np.uint8)
        seen_window = (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))
        return self._oriented(seen), self._oriented_window(seen_window)

    def points(self, points: FloatArray) -> FloatArray:
        """(n, 2) points (x, y) as seen."""
        matrix = self.matrix
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])

    def boxes(self, boxes: npt.NDArray[np.floating]) -> FloatArray:
        """(G, 4) boxes as seen, not yet cut at the border."""
        corners = self.points(boxes.astype(np.float64).reshape(-1, 2)).reshape(-1, 2, 2)
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def _oriented(self, pixels: ByteArray) -> ByteArray:
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.flipped_y else 1, :: -1 if self.flipped_x else 1]

    def _oriented_window(self, window: Window) -> Window:
        x1, y1, x2, y2 = window
        height, width = self.output_size
        if self.transposed:
            x1, y1, x2, y2 = y1, x1, y2, x2
        if self.flipped_x:
            x1, x2 = width - x2, width - x1
        if self.flipped_y:
            y1, y2 = height - y2, height - y1
        return x1, y1, x2, y2


_ROUNDING = 1e-3
"""Half covered counts as covered, whatever float32 makes of the sum."""


_TOGETHER = 4
"""Channels that are resized together: OpenCV takes a bounded number."""


def resize(pixels: ByteArray, size: Size, antialias: bool = True) -> ByteArray:
    """An (H, W, C) image in another size: bilinear, and averaged over each output pixel's area when shrinking.

    Args:
        pixels: uint8.
        size: (height, width).
        antialias: False: bilinear also when shrinking.
    """
    if pixels.shape[:2] == size:
        return pixels
    shrinks = size[0] < pixels.shape[0] or size[1] < pixels.shape[1]
    interpolation = cv2.INTER_AREA if shrinks and antialias else cv2.INTER_LINEAR
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=interpolation), dtype=np.uint8)
    resized = np.empty((*size, pixels.shape[2]), np.uint8)
    for first in range(0, pixels.shape[2], _TOGETHER):
        part = np.ascontiguousarray(pixels[:, :, first : first + _TOGETHER])
        smaller = cv2.resize(part, (size[1], size[0]), interpolation=interpolation)
        resized[:, :, first : first + _TOGETHER] = smaller.reshape(*size, -1)  # OpenCV drops the axis of one channel
    return resized


def _touched_cells(start: int, stop: int, scale: float, limit: int) -> IntArray:
    """The ends of all output cells that input cells `start` up to `stop` touch, along one axis."""
    return np.arange(max(math.floor(start * scale), 0), min(math.ceil(stop * scale), limit) + 1)


def _cell_means(values: FloatMatrix, ends: FloatArray, scale: float) -> FloatMatrix:
    """Averages over cells along the first axis; values[i] lies from i to i + 1, and there is 0 all around.

    Args:
        values: (n, m).
        ends: (k + 1,) between which the cells lie, ascending; they may lie outside.
        scale: 1 / length of a cell.

    Returns:
        (k, m).
    """
    below = np.zeros((len(values) + 1, values.shape[1]), np.float32)  # sum of all values before i
    np.cumsum(values, axis=0, out=below[1:])
    ends = np.clip(ends, 0, len(values))
    whole = np.minimum(ends.astype(np.int64), len(values) - 1)
    part = (ends - whole).astype(np.float32)[:, None]
    return np.diff(below[whole] + part * values[whole], axis=0) * np.float32(scale)
