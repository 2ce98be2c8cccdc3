"""A large image through a model: tile by tile in, objects of the whole image out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from maskrcnn.config import Config, InputConfig
from maskrcnn.data.large_images import LargeImages
from maskrcnn.errors import UserError
from maskrcnn.large.grid import ALIGNMENT, Grid, Tile
from maskrcnn.large.pieces import Pieces, pieces_of
from maskrcnn.large.stitching import Stitcher
from maskrcnn.pipeline import ahead
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import LargeImage, WithGaps
from maskrcnn.structures.masks import ByteArray

USUAL_TILE = 1024
"""Side in pixels, where the model leaves the choice: large enough that few objects lie on seams."""

USUAL_OVERLAP = 128
"""Pixels, for a model that does not say how large its objects are."""


@dataclass(frozen=True)
class Tiling:
    """How an image is cut.

    Attributes:
        tile: side of a tile, pixels of the image: its objects reach the network as large as in any image of that size.
        overlap: objects with sides up to this many pixels are found whole; larger ones are put together from parts.
        background: a tile is left out where no channel's values differ by more than this: 0 leaves out blank paper.
        fill: the values of each channel beyond the edge of the image, as the network pads.
    """

    tile: int
    overlap: int
    background: int
    fill: tuple[int, ...]

    @classmethod
    def for_model(
        cls,
        settings: InputConfig,
        object_sizes: dict[str, float],
        tile: int | None = None,
        overlap: int | None = None,
        background: int = 0,
    ) -> Tiling:
        """What the model was trained for, unless said otherwise.

        Args:
            settings: how images become its input.
            object_sizes: quantiles of its training objects' sizes in pixels of the input, as checkpoints keep them.
            tile: None: so large that the network sees it about as it is, neither enlarged nor shrunk.
            overlap: None: twice the size that 95 % of the training objects stay below.
            background: as the attribute.

        Raises:
            UserError: a number that makes no sense.
        """
        side = natural_tile(settings) if tile is None else tile
        if overlap is None:
            scale = max(settings.min_size / side, 1) if not settings.shrink else settings.min_size / side
            overlap = round(2 * object_sizes["0.95"] / scale) if "0.95" in object_sizes else USUAL_OVERLAP
            overlap = min(overlap, side // 4)
        if side < 2 * ALIGNMENT or not 0 <= overlap <= side // 2:
            raise UserError(
                f"tiles of {side} pixels that overlap by {overlap}: expected a side of at least {2 * ALIGNMENT} and an "
                "overlap of at most half of it"
            )
        if not 0 <= background <= 255:
            raise UserError(f"background: expected a difference of values from 0 to 255, got {background}")
        return cls(side, overlap, background, fill_of(settings))


def large_images(config: Config) -> LargeImages:
    """Which images are cut into tiles where nothing else is asked for, and how large the tiles are."""
    settings = config.input
    return LargeImages(
        natural_tile(settings), config.data.max_pixels, not config.semantic_head.enabled, fill_of(settings)
    )


def is_cut(size: Callable[[], Size | None], tile: str | int, config: Config) -> bool:
    """Whether an image goes through the network in tiles.

    Args:
        size: tells (height, width), None where it is not known; asked only if it matters.
        tile: "none" never; "auto" where detail would be lost otherwise, or where an image is too large to be decoded
            as a whole, unless the model tells the class of every pixel; a number always.
        config: of the model.
    """
    if tile != "auto" or config.semantic_head.enabled:
        return tile not in ("auto", "none")
    known = size()
    return known is not None and large_images(config).hold(known, config.input)


def tiles_text(tile: str | int, overlap: int | None, background: int) -> str:
    """What results depend on, as one word or a few."""
    shared = "" if overlap is None else f", overlap {overlap}"
    return f"{tile}{shared}" + (f", background {background}" if background else "")


def fill_of(settings: InputConfig) -> tuple[int, ...]:
    """The values of each channel that the network's zeros stand for."""
    return tuple(round(255 * value) for value in settings.mean)


def natural_tile(settings: InputConfig) -> int:
    """The side, pixels, of a square image that the network sees at its own size."""
    side = settings.min_size if settings.shrink else min(max(settings.min_size, USUAL_TILE), settings.max_size)
    return max(min(side, settings.max_size) // ALIGNMENT, 2) * ALIGNMENT


def objects_of(
    image: LargeImage, tiling: Tiling, predict: Callable[[Iterator[ByteArray]], Iterable[Prediction]]
) -> Iterator[Pieces]:
    """The objects of an image, some at a time, from top to bottom; memory is that of two rows of tiles.

    Args:
        image: read tile by tile, a little ahead.
        tiling: how it is cut.
        predict: predictions of pictures (tile, tile, C), in their order.
    """
    grid = Grid.over(image.size, tiling.tile, tiling.overlap)
    stitcher, under_way = Stitcher(grid), deque[Tile]()

    def pictures() -> Iterator[ByteArray]:
        for tile, pixels in ahead(_tiles(image, grid, tiling)):
            under_way.append(tile)
            yield pixels

    row: dict[Tile, Pieces] = {}
    for found in predict(pictures()):
        tile = under_way.popleft()
        if row and tile[0] != next(iter(row))[0]:
            yield from _some(stitcher.add_row(row))
            row = {}
        row[tile] = pieces_of(found, tile, grid)
    yield from _some(stitcher.add_row(row))
    yield from _some(stitcher.finish())


def _some(objects: Pieces | None) -> list[Pieces]:
    return [] if objects is None else [objects]


def _tiles(image: LargeImage, grid: Grid, tiling: Tiling) -> Iterator[tuple[Tile, ByteArray]]:
    """Row by row, without those that show background alone."""
    height, width = image.size
    for row in range(len(grid.y_starts)):
        for tile in grid.row(row):
            x1, y1, x2, y2 = grid.window(tile)
            inside = (x1, y1, min(x2, width), min(y2, height))
            pixels, gaps = image.read(inside), image.missing(inside) if isinstance(image, WithGaps) else None
            if not _is_background(pixels if gaps is None else pixels[~gaps], tiling.background):
                if gaps is not None:
                    pixels[gaps] = tiling.fill
                yield tile, _filled(pixels, grid.tile, tiling.fill)


def _is_background(pixels: ByteArray, difference: int) -> bool:
    """Of pixels (..., C), or of none."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    return not len(flat) or bool((flat.max(axis=0).astype(int) - flat.min(axis=0) <= difference).all())


def _filled(pixels: ByteArray, side: int, fill: tuple[int, ...]) -> ByteArray:
    """(side, side, C): what lies beyond the image gets one colour, so that every tile has the same scale."""
    if pixels.shape[:2] == (side, side):
        return pixels
    square = np.empty((side, side, len(fill)), np.uint8)
    square[:] = fill
    square[: pixels.shape[0], : pixels.shape[1]] = pixels
    return square
