"""Masks: run lengths, polygons, and bitmaps kept only inside their own window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from maskrcnn.structures.size import Size

BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RLE:
    """COCO run lengths of one mask: alternating runs of zeros and ones, down the columns, zeros first.

    Attributes:
        size: (height, width) of the full frame, pixels.
        counts: int64 run lengths; they sum to height * width.
    """

    size: Size
    counts: IntArray


@dataclass(frozen=True)
class Polygons:
    """The parts of one object: a pixel belongs to it if any ring covers it, as COCO defines a list of rings.

    Attributes:
        rings: each (n, 2) float64, (x, y) in continuous pixels, n >= 3. Holes need an RLE.
    """

    rings: tuple[FloatArray, ...]


_LONGEST_RUN = 2**31 - 1


def short_runs(counts: IntArray) -> IntArray:
    """The same pixels in runs that 32 bits with a sign can hold: a longer one is two, with none of the others between.

    Only frames of more pixels have any, and their runs are shorter than two such.
    """
    long = np.flatnonzero(counts > _LONGEST_RUN)
    if not len(long):
        return counts
    short = np.minimum(counts, _LONGEST_RUN)
    rest = np.stack([np.zeros(len(long), np.int64), counts[long] - _LONGEST_RUN], axis=1)
    return np.insert(short, np.repeat(long + 1, 2), rest.reshape(-1))


@dataclass(frozen=True)
class MaskCrops:
    """Binary masks of G objects in one frame, each stored only inside its own window.

    A 12-megapixel image with 1,000 objects needs what the objects cover, not G x H x W.

    Attributes:
        windows: (G, 4) int64 x1, y1, x2, y2: whole pixels, half open, inside the frame; may be empty.
        pixels: flat uint8 of 0 and 1, window after window, each row by row.
        offsets: (G + 1,) int64; object i owns pixels[offsets[i]:offsets[i + 1]].
        image_size: (height, width) of the frame.
    """

    windows: IntArray
    pixels: ByteArray
    offsets: IntArray
    image_size: Size

    def __len__(self) -> int:
        return len(self.windows)

    @classmethod
    def from_crops(
        cls, crops: Sequence[npt.NDArray[np.generic]], windows: Sequence[Sequence[int]], image_size: Size
    ) -> MaskCrops:
        """Pack one (h, w) array of 0 and 1 per object; `windows[i]` says where in the frame it lies."""
        areas = [int(crop.size) for crop in crops]
        flat = [np.ascontiguousarray(crop).reshape(-1).astype(np.uint8, copy=False) for crop in crops]
        pixels = np.concatenate(flat) if flat else np.zeros(0, np.uint8)
        return cls(
            np.array(list(windows), np.int64).reshape(-1, 4),
            pixels,
            np.concatenate([[0], np.cumsum(areas, dtype=np.int64)]).astype(np.int64),
            image_size,
        )

    @classmethod
    def from_bitmaps(cls, bitmaps: npt.NDArray[np.generic]) -> MaskCrops:
        """Pack (G, H, W) bitmaps of 0 and 1, each cut down to the tightest window around its ones."""
        crops, windows = [], []
        for bitmap in bitmaps:
            ys, xs = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
            window = (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1) if len(xs) else (0, 0, 0, 0)
            x1, y1, x2, y2 = (int(v) for v in window)
            crops.append(bitmap[y1:y2, x1:x2])
            windows.append((x1, y1, x2, y2))
        return cls.from_crops(crops, windows, (int(bitmaps.shape[-2]), int(bitmaps.shape[-1])))

    def crop(self, index: int) -> ByteArray:
        """(h, w) uint8 bitmap of one object inside its window."""
        x1, y1, x2, y2 = self.windows[index].tolist()
        start, end = self.offsets[index : index + 2].tolist()
        return self.pixels[start:end].reshape(y2 - y1, x2 - x1)

    def bitmaps(self) -> ByteArray:
        """(G, H, W) uint8 full-frame bitmaps: for tests and small images, since it costs G x H x W bytes."""
        full = np.zeros((len(self), *self.image_size), np.uint8)
        for i, (x1, y1, x2, y2) in enumerate(self.windows.tolist()):
            full[i, y1:y2, x1:x2] = self.crop(i)
        return full


class Masks(Protocol):
    """D binary masks of one image, each known inside its own window: `MaskCrops` or `PackedRLE`."""

    @property
    def image_size(self) -> Size:
        """(height, width)."""

    @property
    def windows(self) -> IntArray:
        """(D, 4) whole pixels x1, y1, x2, y2, half open, inside the image; may be empty."""

    def __len__(self) -> int: ...

    def crop(self, index: int) -> ByteArray:
        """(h, w) bitmap of 0 and 1 inside the window."""
