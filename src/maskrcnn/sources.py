"""What `predict` accepts as an image, and where images come from: files, folders, patterns."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from io import BufferedIOBase, RawIOBase, TextIOBase
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.data.arrays import array_pixels, as_channels_last, channels_as_bytes
from maskrcnn.data.channel_files import read_pixels, read_pixels_of
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.images import decoded_image
from maskrcnn.data.left_out import ARRAY_SUFFIXES, IMAGE_SUFFIXES, LeftOut
from maskrcnn.data.outputs import without_results
from maskrcnn.data.pixels import band_pixels
from maskrcnn.errors import UserError
from maskrcnn.structures.masks import ByteArray, Float32Array

if TYPE_CHECKING:
    from torch import Tensor

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[Any] | Tensor"
"""One image: a file, its bytes, a file opened for reading bytes, a Pillow image, an array or a tensor.

An array is (H, W, 3) RGB, (H, W, 4) RGBA, (H, W) or (H, W, 1) grey; uint8, uint16 or bool, and read as a file with
these values is. A tensor is (3, H, W) RGB, uint8 or float in [0, 1].

For a model of other channels (`input.channels`), an array has these and any numbers, and is read as
`data/channel_files.py` says of `.npy` files; a tensor is (C, H, W).
"""

# --- files, folders, patterns -----------------------------------------------------------------------------------


def collect_sources(
    sources: Sequence[str | os.PathLike[str]], note: Callable[[str], object] | None = None
) -> list[Path]:
    """The image files behind `sources`, each a file, a folder (its images, without subfolders) or a glob pattern.

    Files appear in the order of `sources`, those of one folder or pattern in natural order (`2.png` before
    `10.png`), and each only once. What `predict` wrote itself into a folder is left out.

    Args:
        sources: what the user named.
        note: is told what is left out.

    Raises:
        UserError: a source that does not exist, or in which there are no images.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        for path in _expand(os.fspath(source), note):
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


def _expand(source: str, note: Callable[[str], object] | None) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    is_folder = path.is_dir()
    candidates = list(path.iterdir()) if is_folder else list(map(Path, glob.glob(str(path), recursive=True)))
    if not candidates and not is_folder and not glob.has_magic(source):
        raise UserError(f"{source}: expected an image, a folder or a pattern such as 'cells/*.png'; no such file")
    images = _images(candidates)
    kept = without_results(images, path if is_folder else named_folder(path))
    left_out = LeftOut(results=len(images) - len(kept))
    if is_folder and (note is not None or not kept):
        left_out.look_at(candidates)
    if not kept:
        raise UserError(_nothing_in(source, path, left_out))
    if note is not None:
        left_out.tell(source, note)
    return sorted(kept, key=natural_key)


def _images(candidates: Sequence[Path]) -> list[Path]:
    for suffixes in (IMAGE_SUFFIXES, ARRAY_SUFFIXES):
        if images := [path for path in candidates if path.suffix.lower() in suffixes and os.path.isfile(path)]:
            return images
    return []


def named_folder(pattern: Path) -> Path:
    """The folder that a pattern begins with, from which on its matches are looked for."""
    return Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts))


def _nothing_in(source: str, path: Path, left_out: LeftOut) -> str:
    kinds = ", ".join(sorted(IMAGE_SUFFIXES | ARRAY_SUFFIXES))
    where = "in this folder" if path.is_dir() else "match this pattern"
    has_more = left_out.folders and not left_out.results
    below = f"; for those of the folders in it: {str(path / '**')!r}" if has_more else ""
    return f"{source}: no images ({kinds}) {where}{left_out.but()}{below}"


# --- one image --------------------------------------------------------------------------------------------------


def read_source(source: Source, channels: Channels = RGB) -> Tensor:
    """The (C, H, W) tensor, uint8 or float in [0, 1], of an image.

    Raises:
        UserError: an unreadable file, an array or tensor of another kind, or an image of other channels.
    """
    import torch

    if isinstance(source, torch.Tensor):
        return _check_tensor(source, channels)
    pixels = source_pixels(source, channels)
    return torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy()).permute(2, 0, 1)


def source_values(source: Source, channels: Channels = RGB) -> ByteArray | Float32Array:
    """The (H, W, C) pixels, uint8 or, of a tensor of floats, float32 in [0, 1]. Raises as `read_source`."""
    if _is_tensor(source) and source.is_floating_point():
        return np.ascontiguousarray(_check_tensor(source, channels).detach().permute(1, 2, 0).float().cpu().numpy())
    return source_pixels(source, channels)


def source_pixels(source: Source, channels: Channels = RGB) -> ByteArray:
    """The (H, W, C) uint8 pixels of an image, RGB as a rule; not to be written to. Raises as `read_source`."""
    if _is_tensor(source):
        return _tensor_pixels(_check_tensor(source, channels))
    if isinstance(source, np.ndarray):
        return array_pixels(source) if channels.rgb else _channel_array(source, channels)
    if isinstance(source, Image.Image):
        return decoded_image(source) if channels.rgb else _required(decoded_image(source, band_pixels), channels)
    if isinstance(source, str | os.PathLike):
        return read_pixels(source, channels)
    if isinstance(source, bytes | bytearray | memoryview):
        return read_pixels_of(bytes(source), "image bytes", channels)
    raise UserError(
        "image: expected a path, the bytes of an image file, a Pillow image, an (H, W, 3) uint8 array or a (3, H, W) "
        f"tensor, got {type(source).__name__}"
    )


def _channel_array(array: npt.NDArray[Any], channels: Channels) -> ByteArray:
    return _required(channels_as_bytes(as_channels_last(array, (channels.count,))), channels)


def _required(pixels: ByteArray, channels: Channels) -> ByteArray:
    """The same pixels, if they have the right number of channels."""
    try:
        channels.require(pixels.shape[2])
    except UserError as error:
        raise UserError(f"image: {error}") from None
    return pixels


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


def _tensor_pixels(tensor: Tensor) -> ByteArray:
    array = tensor.detach().permute(1, 2, 0).cpu()
    if tensor.is_floating_point():
        array = (array * 255).round().clamp(0, 255).byte()
    return np.ascontiguousarray(array.numpy())


def _check_tensor(tensor: Tensor, channels: Channels) -> Tensor:
    if tensor.ndim != 3 or tensor.shape[0] != channels.count or 0 in tensor.shape:
        expected = "(3, H, W) in RGB" if channels.rgb else f"({channels.count}, H, W)"
        raise UserError(f"image tensor: expected shape {expected}, got {tuple(tensor.shape)}")
    if not tensor.is_floating_point():
        if str(tensor.dtype) != "torch.uint8":
            raise UserError(f"image tensor: expected uint8, or floats from 0 to 1, got {tensor.dtype}")
    elif not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise UserError("image tensor: expected floats from 0 to 1, got values outside; divide by 255?")
    return tensor
