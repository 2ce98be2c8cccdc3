"""What the writers share: images with their objects, ready to be drawn, and a tally of what a form cannot say."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from maskrcnn.data.channels import UNKNOWN
from maskrcnn.data.formats.content import Json
from maskrcnn.data.windowed.files import labelled_header
from maskrcnn.errors import UserError
from maskrcnn.files import make_folder, write_atomically
from maskrcnn.masks.polygons import bitmap_to_polygons, polygon_to_rle
from maskrcnn.masks.rle import decode_rle
from maskrcnn.masks.rle_coco import rle_from_coco
from maskrcnn.structures import RLE, Polygons, Size
from maskrcnn.structures.masks import ByteArray, FloatArray

Loss = Counter[str]
"""What a form could not say, counted: a sentence, and how often."""

BOX_ALONE = "objects have a box and no mask, which this form cannot say"
KEYPOINTS = "objects have keypoints, which this form cannot say"
TURNED = "images are turned by EXIF; masks are of the upright picture"
SCORES = "objects have a score, which this form cannot say"
CROWD = "regions are to be ignored (crowds), which this form cannot say"

Ring = FloatArray
"""(n, 2) x, y in continuous pixels."""


@dataclass(frozen=True)
class Item:
    """One object of an image.

    Attributes:
        label: its class.
        segmentation: COCO's: polygons as lists, run lengths as a dictionary; None where a box is all that is known.
        box: x, y, width, height.
        crowd: a region that is neither object nor background.
        size: (height, width) of the image.
        score: the probability of its class, of one that a model has found.
    """

    label: str
    segmentation: list[list[float]] | Json | None
    box: list[float]
    crowd: bool
    size: Size
    score: float | None = None

    @property
    def rings(self) -> list[list[float]]:
        """The polygons; none where it is known by its pixels."""
        return self.segmentation if isinstance(self.segmentation, list) else []

    @cached_property
    def rle(self) -> RLE:
        """The pixels, of polygons as COCO draws them."""
        if isinstance(self.segmentation, dict):
            return rle_from_coco(self.segmentation)
        rings = tuple(np.array(ring, dtype=np.float64).reshape(-1, 2) for ring in self.rings)
        return polygon_to_rle(Polygons(rings), self.size)

    @property
    def bitmap(self) -> ByteArray:
        """(H, W) 0 and 1."""
        return decode_rle(self.rle)

    @property
    def outlines(self) -> list[tuple[Ring, list[Ring]]]:
        """Each connected part with its holes, along the edges of pixels."""
        return bitmap_to_polygons(self.bitmap)


@dataclass(frozen=True)
class Picture:
    """One image.

    Attributes:
        source: its file.
        name: a file name without folders that no other image has.
        split: train, val or test; empty where none is known.
        size: (height, width).
        items: its objects.
    """

    source: Path
    name: str
    split: str
    size: Size
    items: list[Item]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    def with_masks(self, loss: Loss, *, crowds: bool = False) -> Iterator[Item]:
        """The objects that have a mask; the others are counted."""
        for item in self.items:
            if item.crowd and not crowds:
                loss[CROWD] += 1
            elif item.segmentation is None:
                loss[BOX_ALONE] += 1
            else:
                yield item


@dataclass(frozen=True)
class Scene:
    """A data set to be written.

    Attributes:
        coco: the content, as the reader of COCO content passed it.
        folder: its image file names are relative to this.
        model: what found the objects; None of labels.
    """

    coco: Json
    folder: Path
    model: str | None = None

    @cached_property
    def classes(self) -> list[str]:
        return [str(entry["name"]) for entry in self.coco["categories"]]

    @cached_property
    def pictures(self) -> list[Picture]:
        """Every image with its objects, in the order of the content."""
        names = {entry["id"]: str(entry["name"]) for entry in self.coco["categories"]}
        by_image: dict[int, list[Json]] = {}
        for entry in self.coco["annotations"]:
            by_image.setdefault(entry["image_id"], []).append(entry)
        short = short_names([image["file_name"] for image in self.coco["images"]])
        return [
            _picture(image, self.folder, short, by_image.get(image["id"], []), names) for image in self.coco["images"]
        ]


def _picture(image: Json, folder: Path, short: dict[str, str], entries: list[Json], names: dict[int, str]) -> Picture:
    size = (image["height"], image["width"])
    items = [
        Item(names[e["category_id"]], e.get("segmentation"), e["bbox"], e.get("iscrowd") == 1, size, e.get("score"))
        for e in entries
    ]
    name = image["file_name"]
    return Picture(folder / name, short[name], image.get("split", ""), size, items)


def short_names(names: list[str]) -> dict[str, str]:
    """File names without folders, and of different stems, also where capitals are not told apart.

    A stem names the files that are made of an image. Where two would share it, the folders' names come in front; where
    the folder is the same, the ending becomes a part of it: `a.jpg` beside `a.png` is `a.jpg.jpg`, of stem `a.jpg`.
    """
    found = {name: PurePosixPath(name).name for name in names}
    for spelt in (_joined, _with_ending):
        stems = Counter(map(_stem, found.values()))
        found = {
            name: spelt(PurePosixPath(name)) if stems[_stem(short)] > 1 else short for name, short in found.items()
        }
    taken = set[str]()
    for name, short in found.items():
        while _stem(short) in taken:  # a_b/c.png beside a/b_c.png
            short = f"_{short}"
        taken.add(_stem(short))
        found[name] = short
    return found


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.lower()


def _joined(path: PurePosixPath) -> str:
    return "_".join(path.parts)


def _with_ending(path: PurePosixPath) -> str:
    return _joined(path) + path.suffix


def copy_picture(source: Path, target: Path) -> None:
    """The image file as it is.

    Raises:
        UserError: it cannot be read or written.
    """
    try:
        make_folder(target.parent)
        shutil.copyfile(source, target)
    except OSError as error:
        raise UserError(f"{target}: cannot copy {source} here ({error.strerror}); check both places") from None


def turned(source: Path, size: Size) -> Loss:
    """One, where the copy of a picture with labels made for `size` lies otherwise than these, unless EXIF is read."""
    with suppress(UserError):  # a picture whose header nobody reads has no EXIF that says so
        header = labelled_header(source, UNKNOWN)
        return Loss({TURNED: 1}) if header.orientation != 1 and header.size == size else Loss()
    return Loss()


def save(path: Path, content: bytes | str) -> None:
    """A file in a folder that is made where it is missing."""
    make_folder(path.parent)
    write_atomically(path, content)
