"""What `predict` accepts as an image, and where images come from: files, folders, patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from maskrcnn.data.images import read_image
from maskrcnn.data.pixels import rgb_pixels
from maskrcnn.errors import UserError
from maskrcnn.structures.masks import ByteArray

Source = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor
"""One image: a file, a Pillow image, an (H, W, 3) or (H, W) uint8 array, or a (3, H, W) tensor (uint8, or float in
[0, 1]); RGB."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
"""What is taken from a folder; a file named outright may have any name, since its content decides."""


def collect_sources(sources: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The image files behind `sources`, each a file, a folder (its images, without subfolders) or a glob pattern.

    Files appear in the order of `sources`, those of one folder or pattern in natural order (`2.png` before
    `10.png`), and each only once.

    Raises:
        UserError: a source that does not exist, or in which there are no images.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        for path in _expand(os.fspath(source)):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def read_source(source: Source) -> Tensor:
    """The (3, H, W) tensor, uint8 or float in [0, 1], of an image.

    Raises:
        UserError: an unreadable file, or an array or tensor of another kind.
    """
    if isinstance(source, Tensor):
        return _check_tensor(source)
    return torch.from_numpy(source_pixels(source)).permute(2, 0, 1)


def source_pixels(source: Source) -> ByteArray:
    """The (H, W, 3) uint8 RGB pixels of an image, for drawing on a copy of them. Raises as `read_source`."""
    if isinstance(source, Tensor):
        tensor = _check_tensor(source).cpu()
        tensor = tensor if tensor.dtype == torch.uint8 else (tensor * 255).round().clamp(0, 255).byte()
        return tensor.permute(1, 2, 0).contiguous().numpy()
    if isinstance(source, np.ndarray):
        return _check_array(source)
    if isinstance(source, Image.Image):
        return rgb_pixels(source)
    if isinstance(source, str | os.PathLike):
        return read_image(source)
    raise UserError(
        f"image: expected a path, a Pillow image, an (H, W, 3) uint8 array or a (3, H, W) tensor, "
        f"got {type(source).__name__}"
    )


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts the numbers in a name by value: `2.png` before `10.png`."""
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in re.split(r"(\d+)", str(path))]


def _expand(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        candidates, where = list(path.iterdir()), "in this folder"
    else:
        candidates = [Path(match) for match in glob.glob(str(path), recursive=True)]
        where = "match this pattern"
        if not candidates and not glob.has_magic(source):
            raise UserError(f"{source}: expected an image, a folder or a pattern such as 'cells/*.png'; no such file")
    images = [c for c in candidates if c.suffix.lower() in IMAGE_SUFFIXES and c.is_file()]
    if not images:
        raise UserError(f"{source}: no images ({', '.join(sorted(IMAGE_SUFFIXES))}) {where}")
    return sorted(images, key=natural_key)


def _check_array(array: np.ndarray) -> ByteArray:
    if array.dtype != np.uint8:
        raise UserError(f"image array: expected uint8 values 0 to 255, got {array.dtype}")
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise UserError(f"image array: expected shape (H, W, 3) in RGB, or (H, W) in grey, got {array.shape}")
    return np.ascontiguousarray(array)


def _check_tensor(tensor: Tensor) -> Tensor:
    if tensor.ndim != 3 or tensor.shape[0] != 3 or 0 in tensor.shape:
        raise UserError(f"image tensor: expected shape (3, H, W) in RGB, got {tuple(tensor.shape)}")
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise UserError(f"image tensor: expected uint8, or floats from 0 to 1, got {tensor.dtype}")
    if tensor.is_floating_point() and not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise UserError("image tensor: expected floats from 0 to 1, got values outside; divide by 255?")
    return tensor
