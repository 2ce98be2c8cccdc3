"""Arrays of which windows are read, also those that lie in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.arrays import stored_array
from maskrcnn.data.windowed.values import ToBytes
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import Window
from maskrcnn.structures.masks import ByteArray


class ArrayImage:
    """An array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of numbers, also one that lies in a file.

    Raises:
        UserError: an array of another shape or of no numbers.
    """

    def __init__(self, pixels: npt.NDArray[Any], where: str) -> None:
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)) or 0 in pixels.shape:
            raise UserError(f"{where}: expected an array (H, W) or (H, W, 3), got {pixels.shape}")
        if pixels.dtype.kind not in "buif":
            raise UserError(f"{where}: expected numbers, got {pixels.dtype}")
        self._pixels = pixels
        self._to_bytes = ToBytes.of(pixels)

    @property
    def size(self) -> Size:
        """(height, width), pixels."""
        return self._pixels.shape[0], self._pixels.shape[1]

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`."""
        return self._to_bytes(self.values(window))

    def values(self, window: Window) -> npt.NDArray[Any]:
        """(h, w) or (h, w, C) of a window as the array has them."""
        x1, y1, x2, y2 = window
        return np.asarray(self._pixels[y1:y2, x1:x2])


def mapped(path: Path) -> npt.NDArray[Any]:
    """The array in a `.npy` file, mapped into memory.

    Raises:
        UserError: no array of numbers.
    """
    with open_regular(path, "an array") as stream:
        try:
            return stored_array(stream)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
