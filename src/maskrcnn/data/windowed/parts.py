"""Image files of which windows are read: the one place that knows which are, and how.

Whatever is read becomes uint8 RGB by the rules of `data.images`, with one difference: 16 bits and floats are stretched
by percentiles of a sample, since nobody reads a whole slide twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.windowed.arrays import ArrayImage, mapped
from maskrcnn.data.windowed.geotiff import is_geotiff, opened_geotiff
from maskrcnn.data.windowed.tiff import is_tiff, opened_tiff
from maskrcnn.structures.large_image import StoredImage


@contextmanager
def opened_in_parts(path: Path, channels: Channels = RGB) -> Iterator[StoredImage | None]:
    """The image behind a file of which windows are read; None where it has to be decoded as a whole.

    A `.npy` file is mapped into memory and a TIFF read by its own tiles or strips, where `tifffile` is installed; one
    with gaps or a place on Earth by `rasterio`, where that is installed. Images of other channels than RGB, and files
    of other kinds, are decoded as a whole.

    Raises:
        UserError: no such file, or a broken one.
    """
    if not channels.rgb:
        yield None
    elif path.suffix.lower() == ".npy":
        yield ArrayImage(mapped(path), str(path))
    elif is_geotiff(path):
        with opened_geotiff(path) as geo_image:
            yield geo_image
    elif is_tiff(path):
        with opened_tiff(path) as image:
            yield image
    else:
        yield None
