"""The images of a shard, read a little ahead: their bytes by several threads, their pixels by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

from maskrcnn.config import Config
from maskrcnn.data.channel_files import read_pixels_of
from maskrcnn.data.channels import Channels
from maskrcnn.data.content import content_of
from maskrcnn.data.windowed.files import size_of
from maskrcnn.errors import UserError
from maskrcnn.files import first_bytes
from maskrcnn.large.tiling import is_cut
from maskrcnn.pipeline import ahead, mapped
from maskrcnn.scale.objects import is_address, read_object
from maskrcnn.sources import source_pixels
from maskrcnn.structures.masks import ByteArray

THREADS = 4
"""That wait for files and object stores."""


@dataclass(frozen=True)
class Picture:
    """An image of a shard.

    Attributes:
        name: its path or address.
        source: (H, W, 3) uint8 RGB; the path of a file that is cut into tiles; or why it cannot be read.
        content: by what it is known again, see `data.content`; an object has no time.
        cut: whether it goes through the network in tiles.
    """

    name: str
    source: ByteArray | Path | UserError
    content: dict[str, int | None] | None = None
    cut: bool = False


def read_ahead(names: Iterable[str], tile: str | int, config: Config) -> Iterator[Picture]:
    """The images of these names, in their order; memory is that of a few of them.

    Args:
        names: paths and addresses.
        tile: "auto", "none" or the side of tiles, see `large.tiling.is_cut`.
        config: of the model.
    """
    fetched = mapped(_fetched, names, THREADS)
    return ahead(_decoded(name, found, tile, config) for name, found in fetched)


def _fetched(name: str) -> tuple[str, bytes | dict[str, int | None] | UserError]:
    """The bytes of an object, the content of a file."""
    try:
        if is_address(name):
            return name, read_object(name)
        first_bytes(name, "an image")  # a regular file: reading a pipe might never end
        return name, dict(asdict(content_of(name)))
    except UserError as error:
        return name, error
    except OSError as error:
        return name, UserError(f"{name}: cannot read this file ({error.strerror or error}); expected an image")


def _decoded(name: str, found: bytes | dict[str, int | None] | UserError, tile: str | int, config: Config) -> Picture:
    try:
        if isinstance(found, UserError):
            return Picture(name, found)
        if isinstance(found, bytes):
            pixels = read_pixels_of(found, name, Channels.of(config.input))
            content = {"checksum": crc32(found), "size": len(found), "time": None}
            return Picture(name, pixels, content, is_cut(lambda: pixels.shape[:2], tile, config))
        if is_cut(partial(size_of, Path(name), Channels.of(config.input)), tile, config):
            return Picture(name, Path(name), found, cut=True)
        return Picture(name, source_pixels(name, Channels.of(config.input)), found)
    except UserError as error:
        return Picture(name, error)
