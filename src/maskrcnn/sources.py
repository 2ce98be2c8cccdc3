"""What `predict` accepts as an image, and where images come from: files, folders, patterns."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable, Sequence
from io import BufferedIOBase, BytesIO, RawIOBase, TextIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.data.images import decoded_image, read_image, read_image_of
from maskrcnn.data.pixels import rgb_pixels
from maskrcnn.errors import UserError
from maskrcnn.structures.masks import ByteArray, Float32Array

if TYPE_CHECKING:
    from torch import Tensor

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[Any] | Tensor"
"""One image: a file, its bytes, a file opened for reading bytes, a Pillow image, an array or a tensor.

An array is (H, W, 3) RGB, (H, W, 4) RGBA, (H, W) or (H, W, 1) grey; uint8, uint16 or bool, and read as a file with
these values is. A tensor is (3, H, W) RGB, uint8 or float in [0, 1].
"""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
"""What is taken from a folder; a file named outright may have any name, since its content decides."""


# --- files, folders, patterns -----------------------------------------------------------------------------------


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


def several_sources(source: Source | Iterable[Source]) -> Iterable[Source] | None:
    """The images behind a folder, a pattern, a list, a tuple or anything else that gives images; None for one image."""
    if isinstance(source, str | os.PathLike):
        path = os.path.expanduser(os.fspath(source))
        is_pattern = glob.has_magic(path) and not os.path.exists(path)
        return collect_sources([source]) if is_pattern or os.path.isdir(path) else None
    if _is_single(source) or not isinstance(source, Iterable):
        return None
    several: Iterable[Any] = source
    return list(several) if isinstance(several, tuple) else several


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts the numbers in a name by value: `2.png` before `10.png`."""
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in re.split(r"(\d+)", str(path))]


def _is_single(source: object) -> bool:
    """Whether this is one image although it can be iterated over."""
    kinds = (bytes, bytearray, memoryview, np.ndarray, BufferedIOBase, RawIOBase, TextIOBase)
    return isinstance(source, kinds) or _is_tensor(source) or hasattr(source, "read")


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


# --- one image --------------------------------------------------------------------------------------------------


def read_source(source: Source) -> Tensor:
    """The (3, H, W) tensor, uint8 or float in [0, 1], of an image.

    Raises:
        UserError: an unreadable file, or an array or tensor of another kind.
    """
    import torch

    if isinstance(source, torch.Tensor):
        return _check_tensor(source)
    pixels = source_pixels(source)
    return torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy()).permute(2, 0, 1)


def source_values(source: Source) -> ByteArray | Float32Array:
    """The (H, W, 3) pixels, uint8 or, of a tensor of floats, float32 in [0, 1]. Raises as `read_source`."""
    if _is_tensor(source) and source.is_floating_point():
        return np.ascontiguousarray(_check_tensor(source).detach().permute(1, 2, 0).float().cpu().numpy())
    return source_pixels(source)


def source_pixels(source: Source) -> ByteArray:
    """The (H, W, 3) uint8 RGB pixels of an image, for drawing on a copy of them. Raises as `read_source`."""
    if _is_tensor(source):
        return _tensor_pixels(_check_tensor(source))
    if isinstance(source, np.ndarray):
        return _array_pixels(source)
    if isinstance(source, Image.Image):
        return decoded_image(source)
    if isinstance(source, str | os.PathLike):
        return read_image(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return read_image_of(BytesIO(source), "image bytes")
    raise UserError(
        "image: expected a path, the bytes of an image file, a Pillow image, an (H, W, 3) uint8 array or a (3, H, W) "
        f"tensor, got {type(source).__name__}"
    )


def kept_source(source: Source) -> Source:
    """The source in a form that can be read again later: an open file becomes its bytes.

    Raises:
        UserError: a file that is not open for reading bytes.
    """
    if not hasattr(source, "read") or isinstance(source, Image.Image):
        return source
    try:
        content, what = source.read(), "text"
    except (OSError, ValueError) as error:  # closed, opened for writing, or as text while it is none
        content, what = None, f"the error: {error}"
    if not isinstance(content, bytes):
        raise UserError(f'image: expected a file opened for reading bytes, got {what}; open it with open(path, "rb")')
    return content


def _is_tensor(source: object) -> TypeGuard[Tensor]:
    """Without importing PyTorch: who has a tensor has done so."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def _array_pixels(array: npt.NDArray[Any]) -> ByteArray:
    """An array as a file with the same content is read, see `data.images`."""
    array = _check_array(array)
    if array.dtype == bool:
        array = array * np.uint8(255)
    if array.ndim == 3 and array.dtype != np.uint8:  # 16 bits per colour
        array = (array >> 8).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 3:
        return np.ascontiguousarray(array)
    return rgb_pixels(Image.fromarray(array))


def _check_array(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An (H, W) or (H, W, C) array of uint8, uint16 or bool, C from 2 to 4."""
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 2, 3, 4):
        raise UserError(
            f"image array: expected shape (H, W, 3) in RGB, got {array.shape}; "
            "put the channels last: array.transpose(1, 2, 0)"
        )
    if array.ndim == 4:
        raise UserError(f"image array: expected one image, (H, W, 3), got {array.shape}; give a list: list(array)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)) or 0 in array.shape:
        raise UserError(f"image array: expected shape (H, W, 3) in RGB, (H, W, 4) or (H, W) in grey, got {array.shape}")
    if array.dtype.kind == "f":
        raise UserError(
            f"image array: expected uint8 values 0 to 255, got {array.dtype}; "
            "for values from 0 to 1: (array * 255).round().astype(np.uint8)"
        )
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16, bool):
        raise UserError(
            f"image array: expected uint8, uint16 or bool values, got {array.dtype}; "
            "for values from 0 to 255: array.astype(np.uint8)"
        )
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native[:, :, 0] if native.ndim == 3 and native.shape[2] == 1 else native


def _tensor_pixels(tensor: Tensor) -> ByteArray:
    array = tensor.detach().permute(1, 2, 0).cpu()
    if tensor.is_floating_point():
        array = (array * 255).round().clamp(0, 255).byte()
    return np.ascontiguousarray(array.numpy())


def _check_tensor(tensor: Tensor) -> Tensor:
    if tensor.ndim != 3 or tensor.shape[0] != 3 or 0 in tensor.shape:
        raise UserError(f"image tensor: expected shape (3, H, W) in RGB, got {tuple(tensor.shape)}")
    if not tensor.is_floating_point():
        if str(tensor.dtype) != "torch.uint8":
            raise UserError(f"image tensor: expected uint8, or floats from 0 to 1, got {tensor.dtype}")
    elif not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise UserError("image tensor: expected floats from 0 to 1, got values outside; divide by 255?")
    return tensor
