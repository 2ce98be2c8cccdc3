"""Maps in tiles, for algorithms that transform each tile by itself: M d M^T, M along both axes of every tile d.

A map (N, H, W, C) is a table of its pixels, and a transform two linear maps of table rows (`kernels.weighted_sums`),
first down the columns and then across: windows that overlap are never copied out of the map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.kernels.weighted_sums import PlannedSums

BLOCK_TILES = 108
"""The most tiles in a block, those of twelve maps of 3 x 3 tiles: weights are read once for all of them."""
PLANS = 32
"""How many plans of each kind are kept, about 0.2 MB each."""

Block = tuple[slice, slice, slice]
"""Which images, which of their tile rows and which tile columns."""


def tile_grid(height: int, width: int, tile: int) -> tuple[int, int]:
    """How many rows and columns of tiles cover a map."""
    return -(-height // tile), -(-width // tile)


def blocks(n: int, rows: int, columns: int) -> Iterator[Block]:
    """At most `BLOCK_TILES` tiles each: part of an image, or, where images are small, several."""
    images_at_once = max(1, BLOCK_TILES // (rows * columns))
    rows_at_once, columns_at_once = _block_shape(rows, columns)
    for image in range(0, n, images_at_once):
        for row in range(0, rows, rows_at_once):
            for column in range(0, columns, columns_at_once):
                yield (
                    slice(image, min(image + images_at_once, n)),
                    slice(row, min(row + rows_at_once, rows)),
                    slice(column, min(column + columns_at_once, columns)),
                )


def block_sizes(block: Block) -> tuple[int, int, int]:
    """How many images, tile rows and tile columns."""
    images, rows, columns = (part.stop - part.start for part in block)
    return images, rows, columns


@cache
def _block_shape(rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns of tiles in a block: as few blocks as can be, and as equal as can be."""
    counts = [
        (down, across)
        for across in range(1, columns + 1)
        if (width := -(-columns // across)) <= BLOCK_TILES
        for down in [-(-rows // (BLOCK_TILES // width))]
    ]
    shapes = [(down * across, -(-rows // down), -(-columns // across)) for down, across in counts]
    _, height, width = min(shapes, key=lambda shape: (shape[0], shape[1] * shape[2]))
    return height, width


@dataclass(frozen=True, eq=False)
class WindowTransform:
    """From a map to the transforms M d M^T of its windows d: tiles with a margin around each.

    Attributes:
        matrix: M, (P, w) in double precision.
        tile: side of a tile, the step between windows.
        margin: w = tile + 2 margin.
    """

    matrix: Tensor
    tile: int
    margin: int

    def __call__(self, x: Tensor, block: Block, num_zeros: int = 0) -> Tensor:
        """(tiles + num_zeros, P P, C), first the tiles of a block of x (N, H, W, C), which is zero outside.

        Args:
            x: contiguous.
            block: one image's tiles, or all tiles of several images.
            num_zeros: so many more tiles of zeros.
        """
        _, height, width, channels = x.shape
        images, tile_rows, tile_columns = block
        top, y = self._span(tile_rows, height)
        left, x_span = self._span(tile_columns, width)
        num_images, num_rows, _ = block_sizes(block)
        pixels = x.view(-1, channels)[(images.start * height + top) * width + left :]
        columns = _down(self, x.dtype, num_images, (height, width), y, x_span.size).of(pixels)
        squares = _across(self, x.dtype, num_images * num_rows, x_span, num_zeros).of(columns)
        return squares.view(-1, self.matrix.shape[0] ** 2, channels)

    def _span(self, tiles: slice, limit: int) -> tuple[int, Span]:
        """Where along an axis the windows begin inside the map, and how far they reach there."""
        start, stop = self.tile * tiles.start - self.margin, self.tile * tiles.stop + self.margin
        first, last = max(start, 0), min(stop, limit)
        return first, Span(last - first, first - start, stop - last)

    def windows(self, rows: Tensor, span: Span) -> Tensor:
        """(A, windows, B, w) of the row numbers (A, span.size, B), negative outside."""
        padded = F.pad(rows, (0, 0, span.before, span.after), value=-1)
        return padded.unfold(1, self.tile + 2 * self.margin, self.tile)


class Span(NamedTuple):
    """The extent of a row of windows along an axis: inside the map, before it and after it."""

    size: int
    before: int
    after: int


@lru_cache(PLANS)
def _down(
    transform: WindowTransform, dtype: torch.dtype, images: int, map_size: tuple[int, int], y: Span, num_columns: int
) -> PlannedSums:
    """(images, tile rows, columns, P) from the pixels of images, beginning with the first that is read."""
    height, width = map_size
    rows = torch.arange(images)[:, None, None] * height + torch.arange(y.size)[:, None]
    groups = transform.windows(rows * width + torch.arange(num_columns), y)
    return PlannedSums.of_groups(transform.matrix.to(dtype), groups)


@lru_cache(PLANS)
def _across(transform: WindowTransform, dtype: torch.dtype, tile_rows: int, x: Span, num_zeros: int) -> PlannedSums:
    """(tile rows, tile columns, P, P) from (tile rows, columns, P)."""
    side = transform.matrix.shape[0]
    groups = transform.windows(torch.arange(tile_rows * x.size * side).view(tile_rows, x.size, side), x)
    return PlannedSums.of_groups(transform.matrix.to(dtype), groups, num_zeros * side**2)


@dataclass(frozen=True, eq=False)
class TileTransform:
    """From squares p to the tiles M p M^T of a map.

    Attributes:
        matrix: M, (tile, n) in double precision.
    """

    matrix: Tensor

    def __call__(self, squares: Tensor, sizes: tuple[int, int, int]) -> Tensor:
        """(images, tile rows * tile, tile columns * tile, C), part of a map.

        Args:
            squares: (tiles, n n, C), or more tiles; in this order in memory, or one element after the other.
            sizes: of the block: images, tile rows, tile columns.
        """
        images, tile_rows, tile_columns = sizes
        tile, num_squares = self.matrix.shape[0], squares.shape[0]
        by_element = not squares.is_contiguous()
        table = (squares.transpose(0, 1) if by_element else squares).reshape(-1, squares.shape[-1])
        columns = _back_down(self, squares.dtype, images * tile_rows * tile_columns, num_squares, by_element).of(table)
        pixels = _back_across(self, squares.dtype, sizes).of(columns)
        return pixels.view(images, tile_rows * tile, tile_columns * tile, -1)


@lru_cache(PLANS)
def _back_down(
    transform: TileTransform, dtype: torch.dtype, tiles: int, num_squares: int, by_element: bool
) -> PlannedSums:
    """(tiles, n, tile), across and down, from (squares, n, n), down and across, or from (n, n, squares)."""
    side = transform.matrix.shape[1]
    rows = torch.arange(num_squares * side**2)
    squares = rows.view(side, side, -1).permute(2, 0, 1) if by_element else rows.view(-1, side, side)
    groups = squares[:tiles].transpose(1, 2)
    return PlannedSums.of_groups(transform.matrix.to(dtype), groups)


@lru_cache(PLANS)
def _back_across(transform: TileTransform, dtype: torch.dtype, sizes: tuple[int, int, int]) -> PlannedSums:
    """(images, tile rows, tile, tile columns, tile), pixels in order, from (images, rows, columns, n, tile)."""
    tile, side = transform.matrix.shape
    shape = (*sizes, side, tile)
    groups = torch.arange(torch.Size(shape).numel()).view(shape).permute(0, 1, 4, 2, 3)
    return PlannedSums.of_groups(transform.matrix.to(dtype), groups)
