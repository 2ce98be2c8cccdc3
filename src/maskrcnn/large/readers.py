"""Images of which parts are read, whatever they come from: files, arrays in memory, or what `predict` takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.windowed.arrays import ArrayImage
from maskrcnn.data.windowed.parts import opened_in_parts
from maskrcnn.sources import Source, source_pixels
from maskrcnn.structures.large_image import LargeImage, WholeImage


@contextmanager
def opened(source: Source, channels: Channels = RGB) -> Iterator[LargeImage]:
    """The image behind a file, see `opened_in_parts`, or in memory; the file is closed at the end.

    Raises:
        UserError: no such file, or nothing that can be read as an image.
    """
    if channels.rgb and isinstance(source, np.ndarray):
        yield ArrayImage(source, "image array")
    elif isinstance(source, str | Path):
        with opened_in_parts(Path(source), channels) as image:
            yield WholeImage(source_pixels(source, channels)) if image is None else image
    else:
        yield WholeImage(source_pixels(source, channels))
