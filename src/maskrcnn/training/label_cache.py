"""Labels of a large file as they were read before: mapped into memory, so that the processes of a machine share them.

$MASKRCNN_CACHE/labels/<key>/labels.safetensors, where <key> stands for the file, the folder of images and the settings.
It counts as long as neither the file nor one of the images has changed, and only if it is whole: anything else is read
anew. What waits for the first reader of a file finds its result.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import fields
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.coco_annotations import LARGE
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.errors import UserError
from maskrcnn.files import cache_folder, forget_oldest, sole_writer
from maskrcnn.structures import Categories
from maskrcnn.structures.labels import LabelStore, StoreBuilder
from maskrcnn.weights.tensor_file import read_tensors, write_tensors

FORMAT = 2
"""Goes up when labels are read otherwise than before."""
KEEP = 8
"""Files and settings that are remembered; those that were not used for the longest time go."""

_NAME = "labels.safetensors"
_PATIENCE = 3600.0
"""Seconds to wait for another process that reads the same file."""
_IMAGES_MISSING = (Fault.IMAGE_FILE_MISSING, Fault.IMAGE_FILE_BROKEN)
"""Nobody would notice that they are there again."""

Read = Callable[..., LabelledImages]


def remembered(file: Path, images: Path, read: Read, settings: Mapping[str, Any], large: int = LARGE) -> LabelledImages:
    """`read(file, images, **settings)`, or the same as it was remembered.

    Only of files of more than `large` bytes, and nothing where the cache cannot be written.

    Raises:
        UserError: as `read` does.
    """
    if not file.is_file() or file.stat().st_size <= large:
        return read(file, images, **settings)
    folder = cache_folder() / "labels" / _key(file, images, read, settings)
    with ExitStack() as stack:
        try:
            stack.enter_context(sole_writer(folder, "reading labels into", _PATIENCE))
        except UserError:
            return read(file, images, **settings)
        if (found := _found(folder, file, images, settings)) is not None:
            return found
        before = _state_of(file)
        data = read(file, images, **settings)
        if _may_be_kept(data) and _kept(folder, data, before):
            data = _found(folder, file, images, settings) or data
        return data


def _may_be_kept(data: LabelledImages) -> bool:
    """Not where the next start may find more images, nor what only measurements of other data sets need."""
    if data.federated is not None or data.street is not None:
        return False
    return not any(data.report.counts[fault] for fault in _IMAGES_MISSING)


def _key(file: Path, images: Path, read: Read, settings: Mapping[str, Any]) -> str:
    facts = [str(file.resolve()), str(images.resolve()), read.__name__, repr(sorted(settings.items()))]
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def _state_of(file: Path) -> list[Any]:
    status = file.stat()
    return [FORMAT, version("maskrcnn"), status.st_size, status.st_mtime_ns]


def _state_of_images(data: LabelledImages) -> str:
    """A hash of sizes and time stamps."""
    states = blake2b(digest_size=16)
    for name in data.labels.file_names:
        status = os.stat(data.folder / name)
        states.update(b"%d %d " % (status.st_size, status.st_mtime_ns))
    return states.hexdigest()


def _kept(folder: Path, data: LabelledImages, state: list[Any]) -> bool:
    """Write what was read; False where there is no room or an image is gone again."""
    report, classes = data.report, data.categories
    try:
        header = {
            "labels": state,
            "images": _state_of_images(data),
            "classes": classes.to_coco(),
            "groups": data.group_names,
            "has_void": data.has_void,
            "counts": {fault.name: count for fault, count in report.counts.items()},
            "lines": report.lines,
        }
        write_tensors(folder / _NAME, vars(data.labels), header)
        forget_oldest(folder.parent, KEEP, folder)
    except (UserError, OSError):
        return False
    return True


def _found(folder: Path, file: Path, images: Path, settings: Mapping[str, Any]) -> LabelledImages | None:
    """What was kept; None where it is no longer true, or not whole."""
    if not (folder / _NAME).is_file():
        return None
    try:
        tensors, header = read_tensors(folder / _NAME)
        if header["labels"] != _state_of(file):
            return None
        data = _labelled(tensors, header, str(file), images, settings)
        if header["images"] != _state_of_images(data):
            return None
        os.utime(folder, ns=(time.time_ns(),) * 2)  # not in ticks of the system
    except (UserError, OSError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return None
    return data


def _labelled(
    tensors: dict[str, Tensor], header: Mapping[str, Any], source: str, images: Path, settings: Mapping[str, Any]
) -> LabelledImages:
    labels = LabelStore(**tensors)
    _require_whole(labels)
    counts = Counter({Fault[name]: int(count) for name, count in header["counts"].items()})
    report = DataReport(source, counts=counts, lines=[str(line) for line in header["lines"]])
    report.count(labels)
    channels = settings.get("channels", RGB)
    assert isinstance(channels, Channels)
    classes = Categories.from_coco(header["classes"])
    return LabelledImages(images, classes, labels, report, tuple(header["groups"]), header["has_void"], channels)


def _require_whole(labels: LabelStore) -> None:
    """Raise ValueError where columns are not those of a store, or do not fit one another."""
    empty, count, images = StoreBuilder().build(), labels.num_objects, len(labels)
    ends = {"names": labels.first_name_byte, "points": labels.first_point, "runs": labels.first_run}
    ends |= {"keypoints": labels.first_keypoint, "labels": labels.first_object}
    lengths = {name: int(first[-1]) for name, first in ends.items()}
    lengths |= {
        "first_point": int(labels.first_ring[-1]) + 1,
        "first_name_byte": images + 1,
        "first_object": images + 1,
    }
    lengths |= dict.fromkeys(("first_ring", "first_run", "first_keypoint"), count + 1)
    lengths |= dict.fromkeys(("image_sizes", "groups"), images)
    for field in fields(LabelStore):
        column, like = getattr(labels, field.name), getattr(empty, field.name)
        if column.dtype != like.dtype or column.shape[1:] != like.shape[1:]:
            raise ValueError(field.name)
        if len(column) != lengths.get(field.name, images if field.name == "image_ids" else count):
            raise ValueError(field.name)
        if field.name.startswith("first_") and (column[0] != 0 or bool((np.diff(column.numpy()) < 0).any())):
            raise ValueError(field.name)
