"""`--tile`: which images of a prediction go through the network in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser, number
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.pipeline import followed

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.large.prediction import PredictsLarge
    from maskrcnn.prediction import Prediction


def add_tile_options(parser: CommandParser) -> None:
    """`--tile`, `--overlap`, `--background`, of every command that takes images through a model."""
    parser.add_argument(
        "--tile",
        type=_tile,
        default="auto",
        metavar="auto|none|N",
        help="cut images into tiles of N pixels and put the objects together; auto: those that would reach the network "
        "smaller than it was trained for, where the model says so (default: %(default)s)",
    )
    parser.add_argument(
        "--overlap",
        type=number(int, 0),
        metavar="N",
        help="of tiles: objects up to N pixels are seen whole (default: by the sizes of the training objects)",
    )
    parser.add_argument(
        "--background",
        type=number(int, 0, 255),
        default=0,
        metavar="N",
        help="leave out tiles in which no colour's values differ by more than N (default: %(default)s)",
    )


def _tile(text: str) -> str | int:
    return text if text in ("auto", "none") else int(number(int, 1)(text))


def tiles_option(values: Namespace) -> str:
    """What results depend on, as one word or a few."""
    from maskrcnn.large.tiling import tiles_text

    return tiles_text(values.tile, values.overlap, values.background)


def by_size(paths: Sequence[Path], config: Config, values: Namespace) -> tuple[list[Path], list[Path]]:
    """The images that go through the network at once, and those that are cut."""
    from maskrcnn.data.channels import Channels
    from maskrcnn.data.windowed.files import size_of
    from maskrcnn.large.tiling import is_cut

    if values.tile == "auto" and values.proposals is not None:
        return list(paths), []
    channels = Channels.of(config.input)
    large = {path for path in paths if is_cut(partial(size_of, path, channels), values.tile, config)}
    return [path for path in paths if path not in large], [path for path in paths if path in large]


@dataclass(frozen=True)
class Part:
    """Some of what was found in an image, or all.

    Attributes:
        source: the image.
        found: some of its objects.
        more: whether others follow.
        in_tiles: whether the image was cut.
    """

    source: Path
    found: Prediction
    more: bool = False
    in_tiles: bool = False


def in_tiles(
    model: PredictsLarge, paths: Sequence[Path], values: Namespace, skip: Callable[[object, UserError], None]
) -> Iterator[Part]:
    """The parts of these images, one after the other; one that cannot be read to its end is given to `skip`."""
    tile = None if values.tile == "auto" else values.tile
    limits = values.score_threshold, values.max_detections
    for path in paths:
        try:
            parts = model.stream_large(path, tile, values.overlap, values.background, values.batch_size, *limits)
            yield from (Part(path, found, more, in_tiles=True) for found, more in followed(parts))
        except UserError as error:
            skip(path, error)
