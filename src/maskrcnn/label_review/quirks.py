"""Which labelling tool left its mark on a data set, and what to do about it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.leaks import origin_of
from maskrcnn.data.report import Fault
from maskrcnn.structures.spelling import letters_of
from maskrcnn.text import brief


@dataclass(frozen=True)
class Quirk:
    """A habit of a tool.

    Attributes:
        tool: its name.
        advice: what it did, and what helps.
        is_seen: whether a data set shows it.
    """

    tool: str
    advice: str
    is_seen: Callable[[LabelledImages], bool]


def _has(*faults: Fault) -> Callable[[LabelledImages], bool]:
    return lambda data: any(data.report.counts[fault] for fault in faults)


def _has_copies(data: LabelledImages) -> bool:
    return any(origin_of(name.rpartition("/")[2]) for name in data.labels.file_names[:1000])


def _has_boxes_alone(data: LabelledImages) -> bool:
    return _has_copies(data) and _has(Fault.ALL_BOXES, Fault.MASK_UNUSABLE)(data)


QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "CVAT",
        "its COCO export marks every bitmap as a crowd (iscrowd 1); take them as objects: data.crowd=object "
        "(evaluate: --crowd object)",
        _has(Fault.ALL_CROWDS),
    ),
    Quirk(
        "Roboflow",
        "its export names a group above the classes that has no object",
        _has(Fault.ROOT_CATEGORY, Fault.ROOT_CATEGORY_TWICE),
    ),
    Quirk(
        "Roboflow",
        "varied copies of one picture (.rf. in their names): keep those of one picture on one side of a split, or "
        "export without augmentation, which training does itself",
        _has_copies,
    ),
    Quirk("Roboflow", "exported for detection, so without masks; export for instance segmentation", _has_boxes_alone),
    Quirk(
        "Label Studio",
        "its export changes file names; they were found by their letters",
        _has(Fault.IMAGE_NAME_SPELLED),
    ),
    Quirk(
        "Label Studio",
        "several people labelled the same image; their newest labels count",
        _has(Fault.SEVERAL_ANNOTATORS),
    ),
    Quirk("LabelMe", "lines and points have no area; draw closed shapes for objects", _has(Fault.SHAPE_WITHOUT_AREA)),
    Quirk("LabelMe", "pictures lie inside the label files alone; save them beside", _has(Fault.PICTURE_EMBEDDED)),
    Quirk("a YOLO converter", "coordinates are fractions of the sides, where COCO has pixels", _has(Fault.NORMALISED)),
    Quirk(
        "CVAT", "a film has keyframes alone here; export as images to have all frames", _has(Fault.BETWEEN_KEYFRAMES)
    ),
)
"""Every habit that is known."""


def quirks_of(data: LabelledImages) -> list[str]:
    """A line for each habit that a data set shows, and for names of classes that a person has spelled in two ways."""
    seen = [f"looks like {quirk.tool}: {quirk.advice}" for quirk in QUIRKS if quirk.is_seen(data)]
    return [*seen, *_spelled_twice(data.categories.names)]


def _spelled_twice(names: Sequence[str]) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(" ".join(letters_of(name).split()), []).append(name)
    for found in alike.values():
        if len(found) > 1:
            listed = " and ".join(map(brief, found))
            yield f"the classes {listed} differ in capitals or spaces alone; --class-map makes them one"
