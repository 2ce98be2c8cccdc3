"""An exported model in 8 bits, if it is still as accurate: measured on labelled images, before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from os import PathLike
from pathlib import Path

from maskrcnn.errors import UserError
from maskrcnn.evaluator import evaluate
from maskrcnn.export.int8 import quantise
from maskrcnn.export.recording import checksum
from maskrcnn.export.writing import write_exported
from maskrcnn.runtime.contract import read_contract
from maskrcnn.runtime.engines import open_engine
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.sources import collect_sources, source_pixels
from maskrcnn.structures.masks import Float32Array

MOST_LOST = 0.005
"""Of AP, which is between 0 and 1."""
CALIBRATION_IMAGES = 32


def write_int8(
    exact: Path,
    path: Path,
    calibrate: str | PathLike[str],
    validate: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    device: str = "auto",
    say: Callable[[str], object] = print,
) -> None:
    """Write an exported model with its dense part in 8 bits.

    Args:
        exact: what `export_network` wrote.
        path: the file to write.
        calibrate: a folder of images, such as the model will see; the first `CALIBRATION_IMAGES` are used.
        validate: labels, of any known form; others than those of the images above.
        images: the folder of their images, for COCO's file.
        device: the engine to measure with.
        say: gets the progress and the results.

    Raises:
        UserError: the AP (of masks, if there are any) falls by more than `MOST_LOST`, or what was given cannot be read.
            Nothing is written then.
    """
    contract, content = read_contract(exact)
    model = ExportedModel(open_engine(str(exact), device, content, contract.outputs), contract)
    small = quantise(content, _batches(model, calibrate))
    changed = replace(contract, precision="int8", graph_crc32=checksum(small))
    other = ExportedModel(open_engine(str(path), device, small, contract.outputs), changed)
    before, after = (evaluate(one, validate, images, say=_nothing).score for one in (model, other))
    say(f"{len(content) / 1e6:.1f} MB, AP {before:.4f}; in 8 bits {len(small) / 1e6:.1f} MB, AP {after:.4f}")
    if not before - after <= MOST_LOST:
        raise UserError(
            f"{validate}: AP falls from {before:.4f} to {after:.4f} in 8 bits, by more than {MOST_LOST}; nothing was "
            "written; give calibration images that are more like these, or export without --int8"
        )
    write_exported(
        path, small, replace(changed, measured={**contract.measured, "ap_float32": before, "ap_int8": after})
    )
    say(f"{path} and {path.with_suffix('.json').name}")


def _batches(model: ExportedModel, folder: str | PathLike[str]) -> Iterator[Float32Array]:
    for image in islice(collect_sources([folder]), CALIBRATION_IMAGES):
        yield model.preprocess.prepare([source_pixels(image, model.channels)]).pixels


def _nothing(line: str) -> None:
    """Two tables of results would say less than two numbers."""
