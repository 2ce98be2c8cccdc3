"""What every reader of a label format makes: COCO content in memory, which the one reader of COCO content checks.

Polygons stay polygons and bitmaps become run lengths, exactly: nothing is traced. Ids count from 1 in the order of
the image files and of the shapes in each, so the same folder gives the same content each time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from maskrcnn.data.coco_annotations import Annotations
from maskrcnn.data.formats.renumbering import Renumbering
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number, is_number
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.structures import RLE, Size
from maskrcnn.text import brief, counted, one_line

Ring = Sequence[float]
"""x1, y1, x2, y2, ... of a closed outline, continuous pixels."""

Json = dict[str, Any]

UNNAMED = "object"
"""The class of objects of which no label says what they are."""

SPLITS = ("train", "val", "test")

LONGEST_NAME = 300
"""Characters of a file's name in a report."""

_COPIED = ("segmentation", "bbox", "area", "iscrowd", "keypoints", "num_keypoints")
"""What a COCO annotation says of its object."""


@dataclass(frozen=True)
class LabelContent:
    """The labels of a folder or file in COCO's form.

    Attributes:
        source: the folder or file they were read from; messages begin with it.
        folder: the images' file names are relative to it.
        coco: images, annotations (a list, or the `Annotations` of a large file) and categories. An image's `split` is
            "train", "val" or "test" where the format says so, and missing elsewhere.
        report: the faults that the reader of the format has met.
        form: the name of the format; empty where nobody asked.
        renamed: what a class map calls the class that is stated under an id or a name, None where it leaves it out;
            empty without a class map.
    """

    source: Path
    folder: Path
    coco: Json
    report: DataReport
    form: str = ""
    renamed: Mapping[Any, str | None] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        """The splits that the format names, in the order train, val, test; empty where it names none."""
        named = {image.get("split") for image in self.coco["images"]}
        return [split for split in SPLITS if split in named]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes that have a name."""
        return tuple(name for entry in self.coco["categories"] if isinstance(name := entry.get("name"), str))

    def divided(self, is_val: Mapping[Any, bool]) -> LabelContent:
        """The same with each image whose id is named in the split val or train; others stay what they are."""
        images = [
            {**image, "split": "val" if is_val[image.get("id")] else "train"} if image.get("id") in is_val else image
            for image in self.coco["images"]
        ]
        return replace(self, coco={**self.coco, "images": images})

    def split(self, name: str) -> LabelContent:
        """The images of one split with their annotations, and all categories; the first has the report."""
        images = [image for image in self.coco["images"] if image.get("split") == name]
        ids = {image["id"] for image in images}
        annotations = _of_images(self.coco["annotations"], ids)
        coco = {**self.coco, "images": images, "annotations": annotations}
        report = DataReport(f"{self.source} ({name})")
        if name == self.splits[0]:
            report = replace(self.report, source=report.source, notes=[*self.report.notes, *self._of_no_split()])
        return replace(self, coco=coco, report=report)

    def _of_no_split(self) -> list[str]:
        """A line for images that no split has, under any entry of theirs."""
        has_split = {True: dict[str, None](), False: dict[str, None]()}
        for image in self.coco["images"]:
            has_split[image.get("split") in SPLITS][str(image.get("file_name"))] = None
        left_out = [name for name in has_split[False] if name not in has_split[True]]
        if not left_out:
            return []
        number = counted(len(left_out), "image")
        return [f"{self.source}: {number} left out that no split has, such as {one_line(left_out[0])}"]


@dataclass
class ContentBuilder:
    """Collects images and objects; `content` numbers the classes.

    A label is a class name from a file, so it may be anything; what cannot be one is reported. None is the label of an
    ignored region (`crowd`) that belongs to no class.

    Attributes:
        source: the folder or file that is read.
        folder: image file names are relative to it.
        classes: names in the order that the format gives them; others follow, sorted.
        class_fields: what a COCO file says of a class besides: supercategory, keypoints, skeleton, isthing.
        unlabelled: what pixels without label are, where it is not background: "void".
    """

    source: Path
    folder: Path
    classes: Iterable[str] = ()
    class_fields: dict[str, Json] = field(default_factory=dict)
    unlabelled: str = ""
    images: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    report: DataReport = field(init=False)

    def __post_init__(self) -> None:
        self.report = DataReport(str(self.source))

    def add_image(self, file_name: str, size: Size | None = None, split: str = "", **fields: Any) -> int:
        """One image; without a size it is taken from the file. Returns its id."""
        stated = {} if size is None else {"height": size[0], "width": size[1]}
        number = len(self.images) + 1
        named = {"split": split} if split else {}
        self.images.append({"id": number, "file_name": file_name, **stated, **named, **fields})
        return number

    def add_polygons(self, image: int, label: Any, rings: Sequence[Ring], where: str, *, crowd: bool = False) -> None:
        """An object of one or several parts."""
        self._add(image, label, where, crowd, {"segmentation": [list(ring) for ring in rings], **_bbox(rings)})

    def add_rle(self, image: int, label: Any, rle: RLE, where: str, *, crowd: bool = False) -> None:
        """An object known by its pixels."""
        x1, y1, x2, y2 = rle_window(rle)
        mask = {"segmentation": rle_to_coco(rle), "bbox": [x1, y1, x2 - x1, y2 - y1]}
        self._add(image, label, where, crowd, mask)

    def add_box(self, image: int, label: Any, box: Sequence[Any], where: str, *, crowd: bool = False) -> None:
        """An object known by its box alone: x1, y1, x2, y2."""
        x1, y1, x2, y2 = box
        self._add(image, label, where, crowd, {"bbox": [x1, y1, x2 - x1, y2 - y1]})

    def add_entry(self, image: int, label: Any, entry: Json, where: str) -> None:
        """An object whose segmentation and box are COCO's already."""
        kept: Json = {name: entry[name] for name in _COPIED if name in entry}
        self._add(image, label, where, False, kept)

    def fault(self, fault: Fault, where: str, detail: str = "") -> None:
        """One case of a fault; `where` names the file and the shape, and may hold anything a file name can."""
        self.report.add(fault, one_line(where, LONGEST_NAME), detail)

    def shared(self, where: str, pairs: Mapping[tuple[str, str], int]) -> None:
        """Images that a list or folder names for two splits, counted by the pair: it may well be on purpose."""
        for (first, second), number in pairs.items():
            self.fault(Fault.IMAGES_OF_TWO_SPLITS, where, f"{counted(number, 'image')} of {first} and {second}")

    def failure(self, fault: Fault, where: str, error: UserError) -> None:
        """A fault by the message of an error, without the file that the line names already."""
        text = str(error)
        for prefix in (f"{self.folder / where}: ", f"{where}: "):
            text = text.removeprefix(prefix)
        self.fault(fault, where, text)

    def content(self) -> LabelContent:
        """Everything so far, classes numbered from 1."""
        found = {entry["class"] for entry in self.annotations} - {None}
        names = list(dict.fromkeys(self.classes))
        names += sorted(found - set(names))
        if not names and self.annotations:
            names = [UNNAMED]
        numbers = {name: number for number, name in enumerate(names, start=1)}
        annotations = [_numbered(entry, numbers) for entry in self.annotations]
        categories = [
            {"id": number, "name": name, **self.class_fields.get(name, {})} for name, number in numbers.items()
        ]
        named = Renumbering(numbers)
        coco: Json = {"images": [*map(named.of, self.images)], "annotations": annotations, "categories": categories}
        if self.unlabelled:
            coco["unlabelled"] = self.unlabelled
        return LabelContent(self.source, self.folder, coco, self.report)

    def _add(self, image: int, label: Any, where: str, crowd: bool, entry: Json) -> None:
        if not is_class_name(label) and not (crowd and label is None):
            self.fault(Fault.CLASS_NAME, where, brief(label))
            return
        number = len(self.annotations) + 1
        self.annotations.append({"id": number, "image_id": image, "class": label, "iscrowd": int(crowd), **entry})


def _of_images(annotations: Sequence[Json], ids: Collection[Any]) -> Sequence[Json]:
    if isinstance(annotations, Annotations):
        numbers = [number for number in map(id_number, ids) if number is not None]
        return annotations.chosen(np.isin(np.asarray(annotations.image_ids), np.array(numbers, dtype=np.int64)))
    return [entry for entry in annotations if entry.get("image_id") in ids]


def add_class_fields(categories: Sequence[Json], builder: ContentBuilder) -> None:
    """What entries of COCO's `categories` say of their classes besides; where several do, the first."""
    for entry in categories:
        if is_class_name(entry.get("name")):
            builder.class_fields.setdefault(entry["name"], {k: v for k, v in entry.items() if k not in ("id", "name")})


def is_class_name(value: Any) -> TypeGuard[str]:
    """Whether a value can name a class: printable text, not empty."""
    return isinstance(value, str) and value.isprintable() and value.strip() != ""


def _numbered(entry: Json, numbers: dict[str, int]) -> Json:
    """With the number of its class; an ignored region of no class gets the first."""
    values = dict(entry)
    return {"category_id": numbers.get(values.pop("class"), 1), **values}


def _bbox(rings: Sequence[Ring]) -> Json:
    """The box around rings of good numbers; without one where the reader of COCO content will refuse them."""
    whole = [ring for ring in rings if len(ring) >= 6 and len(ring) % 2 == 0 and all(map(is_number, ring))]
    if not whole:
        return {}
    points = np.concatenate([np.array(ring, dtype=np.float64) for ring in whole]).reshape(-1, 2)
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return {"bbox": [x1, y1, x2 - x1, y2 - y1]}
