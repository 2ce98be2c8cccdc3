"""From a file of another library to a model of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.weights.finite import require_finite
from maskrcnn.weights.foreign.detectron2 import from_detectron2
from maskrcnn.weights.foreign.files import ForeignFile, read_foreign
from maskrcnn.weights.foreign.imported import NO_HINTS, Imported, ImportHints, first_few
from maskrcnn.weights.foreign.names import Source
from maskrcnn.weights.foreign.rename import recognise, rename
from maskrcnn.weights.foreign.torchvision import from_torchvision


def import_foreign(path: Path, hints: ImportHints = NO_HINTS) -> Imported:
    """Read and convert a `.pth`, `.pkl` or `.safetensors` file of another library.

    Raises:
        UserError: the file cannot be read, is of an unknown kind, or lacks, exceeds or contradicts what a model of its
            kind consists of; naming `path`.
    """
    file = read_foreign(path, hints.key)
    try:
        return _convert(file, hints)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def import_tensors(tensors: Mapping[str, Tensor], hints: ImportHints = NO_HINTS) -> Imported:
    """Convert a `state_dict` of another library. Raises as `import_foreign`."""
    return _convert(ForeignFile(dict(tensors)), hints)


def _convert(file: ForeignFile, hints: ImportHints) -> Imported:
    source = recognise(file.tensors, hints.library)
    require_finite({n: t for n, t in file.tensors.items() if source.our_name(n) is not None}, _name(source))
    renamed = rename(file.tensors, source)
    if unknown := first_few("unexpected", renamed.unknown):
        raise UserError(f"{_name(source)}, but with weights for which there are no layers in this package; {unknown}")
    try:
        if source.library == "torchvision":
            imported = from_torchvision(renamed.tensors, hints)
        else:
            imported = from_detectron2(renamed.tensors, file, hints)
    except UserError as error:
        raise UserError(f"{_name(source)}, but {error}") from None
    return replace(imported, remarks=(f"{_name(source)}: {_parts(imported.config)}", *file.remarks, *imported.remarks))


def _name(source: Source) -> str:
    return f"recognised {source.what} of {source.library}"


def _parts(config: Config) -> str:
    present = {
        "rpn": config.rpn.enabled,
        "box_head": config.box_head.enabled,
        "mask_head": config.mask_head.enabled,
        "keypoint_head": config.keypoint_head.enabled,
    }
    return ", ".join([config.backbone.name, config.backbone.features, *(name for name in present if present[name])])
