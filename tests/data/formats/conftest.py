"""What came of a folder of labels, in numbers that can be compared with another tool's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.file_names import is_safe_name
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.listing import Listing
from maskrcnn.data.formats.table import FORMATS, recognise
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.masks.rle import decode_rle, rle_area
from maskrcnn.structures import RLE, Polygons
from maskrcnn.structures.labels import LabelStore
from maskrcnn.structures.masks import ByteArray

ReadForm = Callable[[Path, str], LabelContent]
ThroughReader = Callable[[LabelContent], LabelledImages]


@dataclass(frozen=True)
class Found:
    """Objects by class, ignored regions, and the area of all masks of objects together."""

    objects: dict[str, int]
    ignored: int
    area: int


@pytest.fixture
def read_form() -> ReadForm:
    """Read a folder whose form is recognised as the one expected."""

    def read(path: Path, form: str) -> LabelContent:
        assert recognise(path) == form
        return FORMATS[form].read(Listing(path))

    return read


@pytest.fixture
def through_reader(tmp_path: Path) -> ThroughReader:
    """What the one reader of COCO content makes of it. Images whose sizes are stated need no pixels for that."""

    def through(content: LabelContent) -> LabelledImages:
        folder = tmp_path / ".placeholders"  # hidden from a reader of `tmp_path`
        folder.mkdir(exist_ok=True)
        for image in content.coco["images"]:
            assert is_safe_name(image["file_name"])
            path = folder / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        file = folder / "content.json"
        file.write_text(json.dumps(content.coco))
        return read_coco(file, folder)

    return through


@pytest.fixture
def found(through_reader: ThroughReader) -> Callable[[LabelContent], Found]:
    def count(content: LabelContent) -> Found:
        data = through_reader(content)
        labels = data.labels
        kept = labels.is_object.nonzero().flatten().tolist()
        names = Counter(data.categories.names[int(labels.labels[number])] for number in kept)
        area = sum(rle_area(rle) for number, rle in run_lengths(labels) if number in set(kept))
        return Found(dict(sorted(names.items())), int(labels.ignore.sum()), area)

    return count


def run_lengths(labels: LabelStore) -> list[tuple[int, RLE]]:
    """Every object that has a mask, with its run lengths in the frame of its image."""
    drawn = []
    for image in range(len(labels)):
        for number in labels.objects(image):
            mask = labels.mask(number, labels.size(image))
            if mask is not None:
                drawn.append((number, polygon_to_rle(mask, labels.size(image)) if isinstance(mask, Polygons) else mask))
    return drawn


@pytest.fixture
def bitmaps(through_reader: ThroughReader) -> Callable[[LabelContent], list[tuple[str, ByteArray]]]:
    """(class, (H, W) mask) of each object, in order; not of stuff."""

    def decode(content: LabelContent) -> list[tuple[str, ByteArray]]:
        data = through_reader(content)
        classes = [data.categories.names[label] for label in data.labels.labels.tolist()]
        masks = [(number, rle) for number, rle in run_lengths(data.labels) if not data.labels.stuff[number]]
        return [(classes[number], np.asarray(decode_rle(rle))) for number, rle in masks]

    return decode
