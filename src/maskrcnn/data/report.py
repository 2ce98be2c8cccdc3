"""What was wrong with a data set, and what was done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from maskrcnn.text import counted, one_line

if TYPE_CHECKING:
    from maskrcnn.structures.labels import LabelStore

LINES_PER_FAULT = 20
"""A fault that occurs a million times is counted a million times but shown this often ..."""
CASES_PER_FAULT = 3
"""... and can be looked at in so many pictures."""


class Fault(Enum):
    """Every fault a reader looks for, as (what is wrong, what is done): the complete table."""

    IMAGE_MALFORMED = "no usable id or file name", "image dropped"
    IMAGE_ID_TWICE = "id used by an earlier image", "image dropped"
    IMAGE_ID_TEXT = "id is text", "a number made from it"
    IMAGE_NAME_END = "file is not under this name in the folder of images", "found by the end of the name"
    IMAGE_NAME_SPELLED = "file has this name in another spelling", "found by its letters"
    IMAGE_LISTED_TWICE = "its file is that of an earlier image", "its annotations join that image"
    IMAGE_FILE_TWICE = "the end of the name is the file of another image", "image dropped"
    IMAGE_FILE_MISSING = "file not found", "image dropped"
    IMAGE_FILE_BROKEN = "file cannot be read", "image dropped"
    IMAGE_SIZE_MISSING = "width and height are not whole numbers of a bearable size", "size taken from the file"
    IMAGE_SIZE_UNKNOWN = "width and height are not whole numbers of a bearable size", "image dropped"
    IMAGE_SIZE_DISAGREES = "width and height disagree with the file", "size taken from the file"
    IMAGE_LABELLED_RAW = "labels fit the picture as stored, not upright", "EXIF orientation not applied"

    ROOT_CATEGORY = "names a group of the other classes and has no object", "kept as a class without objects"
    ROOT_CATEGORY_TWICE = "names a group of the other classes, as one of them, and has no object", "left out"

    ANNOTATION_MALFORMED = "no usable image id", "annotation dropped"
    ANNOTATION_ID_MISSING = "no usable id", "new id given"
    ANNOTATION_ID_TWICE = "id used by an earlier annotation", "new id given"
    UNKNOWN_IMAGE = "unknown image", "annotation dropped"
    DROPPED_IMAGE = "its image was dropped", "annotation dropped"
    UNKNOWN_CATEGORY = "unknown category", "annotation dropped"
    ANNOTATION_REPEATED = "class, box and mask are those of an earlier annotation", "annotation dropped"
    CROWD_FLAG = "iscrowd is neither 0 nor 1", "read as 0"

    POLYGON_UNNESTED = "polygons are not lists of x, y, x, y, ... in a list", "read as if they were"
    POLYGON_SHORT = "polygon has fewer than three points", "polygon dropped"
    POLYGON_ODD = "polygon has an odd number of coordinates", "polygon dropped"
    POLYGON_NUMBERS = "polygon is not a list of numbers of bearable size", "polygon dropped"
    POLYGON_TEXT = "polygon's numbers are text", "read as numbers"
    POLYGON_TANGLED = "polygons cross themselves more often than the image has places for", "mask dropped"
    RLE_SIZE = "RLE is for another image size", "mask dropped"
    RLE_BROKEN = "RLE cannot be decoded", "mask dropped"

    BOX_MISSING = "box is not four finite numbers", "box taken from the mask"
    BOX_DEGENERATE = "box has no width or height", "box taken from the mask"
    BOX_DISAGREES = "box and mask are in different places", "box taken from the mask"
    BOX_OUTSIDE = "box reaches outside the image", "box cut at the border"
    BOX_OF_KEYPOINTS = "neither mask nor box", "box taken from the keypoints"
    MASK_UNUSABLE = "no usable mask", "its box is ignored in training, neither object nor background"
    AREA_DISAGREES = "area is less than half or more than twice that of the mask", "the metrics take it as it is stated"
    NORMALISED = "coordinates are from 0 to 1, as fractions of the image's sides", "annotation dropped; give pixels"
    STUFF_DISAGREES = "class is stuff (isthing 0) here or for the model, not for both", "taken as the model has it"
    NOTHING_USABLE = "neither mask nor box is usable inside the image", "annotation dropped"

    KEYPOINTS_UNNAMED = "its class has no keypoints", "keypoints dropped"
    KEYPOINTS_NUMBERS = "keypoints are not a list of numbers of bearable size", "keypoints dropped"
    KEYPOINTS_LENGTH = "keypoints are not three numbers for each of the class's", "keypoints dropped"
    KEYPOINTS_COUNT = "num_keypoints is not the number of labelled keypoints", "counted anew"
    KEYPOINT_VISIBILITY = "visibility of a keypoint is not 0, 1 or 2", "keypoint read as not labelled"
    KEYPOINT_OUTSIDE = "keypoint outside the image", "keypoint read as not labelled"

    LABEL_FILE_BROKEN = "label file cannot be read", "left out"
    LABEL_FILE_OTHER = "file holds no labels of this form", "left out"
    LABEL_FILE_ALONE = "no image belongs to the label file", "left out"
    LABEL_FILE_SHARED = "label file of an earlier image too, whose name differs in the ending", "each has its labels"
    SETTINGS_BROKEN = "file of classes and splits cannot be read", "labels are read without it"
    SPLIT_WITHOUT_IMAGES = "split names a place without a picture of this folder", "nothing is read for it"
    SPLITS_WITHOUT_IMAGES = "split names a place without a picture, as all do", "images are read, by their folders"
    IMAGES_OF_TWO_SPLITS = "splits share images", "the first has them"
    CLASS_NUMBERED = "no printable name of a class", "its number is its name"
    KEYPOINT_SHAPE = "kpt_shape is not a number of keypoints and 2 or 3", "read as without it: boxes and outlines"
    CLASS_MISSING = "no class, where other shapes have one", "class object"
    CLASS_NAME = "no printable class name", "shape dropped"
    SHAPE_MALFORMED = "shape is malformed", "shape dropped"
    SHAPE_UNKNOWN = "kind of shape is not known", "shape dropped"
    SHAPE_WITHOUT_AREA = "shape has no area", "shape dropped"
    SHAPE_OUTSIDE = "shape lies outside the image", "shape dropped"
    COORDINATES_OUTSIDE = "coordinates outside the image", "cut at the border"
    MASKS_OF_ONE_VALUE = (
        "every mask has one value alone, mostly in several parts",
        "all of it is one object; --colours takes its parts apart",
    )
    MASK_FILE = "mask file cannot be used", "mask dropped"
    BETWEEN_KEYFRAMES = "positions between keyframes are not stated", "keyframes alone are read"
    SEVERAL_ANNOTATORS = "labelled several times", "newest labels taken"
    PREDICTED = "found by a model and labelled by nobody", "predictions taken as labels"
    SEVERAL_LABELS = "shape has several labels", "the first is its class"
    TASK_UNFINISHED = "skipped or not labelled yet", "image left out"
    PICTURE_EMBEDDED = "picture is in the label file alone", "image dropped; save it beside the labels"

    ALL_CROWDS = "crowds (iscrowd 1)", "nothing is left to learn or to find; data.crowd=object takes them as objects"
    ALL_BOXES = "boxes without a mask", "nothing is left for a mask branch; mask_head.enabled=false learns boxes"


@dataclass(frozen=True)
class Case:
    """One case of a fault, to be looked at.

    Attributes:
        fault: what is wrong.
        line: the line of the report.
        image_id: the image it is in; None where that is not known.
        entry: the annotation it is in, as it is stated; empty for faults of images and files.
    """

    fault: Fault
    line: str
    image_id: int | None
    entry: Mapping[str, Any]


@dataclass
class DataReport:
    """The faults of one annotation file, counted by kind.

    Attributes:
        source: the file; every line starts with it.
        num_images: images kept.
        num_objects: objects kept, without ignored regions and without stuff.
        num_ignored: regions kept to be ignored (crowds, objects without a usable mask).
        num_stuff: regions kept of classes that are stuff.
        counts: how often each fault occurred.
        lines: one line for each of the first `LINES_PER_FAULT` cases of each, in the order met.
        cases: the first `CASES_PER_FAULT` of each.
        notes: a line for whatever is worth knowing and may be right as it is: no fault.
        dropped: files of images that a fault names and leaves out.
        place: the image and the annotation that are read just now.
    """

    source: str
    num_images: int = 0
    num_objects: int = 0
    num_ignored: int = 0
    num_stuff: int = 0
    counts: Counter[Fault] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    place: tuple[int | None, Mapping[str, Any]] = (None, {})

    def add(self, fault: Fault, where: str, detail: str = "") -> None:
        """Count one case; `where` names the image or annotation, `detail` what was found there."""
        self.counts[fault] += 1
        if self.counts[fault] <= LINES_PER_FAULT:
            wrong, done = fault.value
            found = f" ({one_line(detail)})" if detail else ""
            self.lines.append(f"{self.source}: {where}: {wrong}{found}; {done}")
            if self.counts[fault] <= CASES_PER_FAULT:
                self.cases.append(Case(fault, self.lines[-1], *self.place))

    def note(self, text: str) -> None:
        """Say what is worth knowing and no fault."""
        self.notes.append(f"{self.source}: {text}")

    def count(self, labels: LabelStore) -> None:
        """Take down what there is."""
        self.num_images, self.num_objects = len(labels), int(labels.is_object.sum())
        self.num_ignored = int(labels.ignore.sum())
        self.num_stuff = labels.num_objects - self.num_objects - self.num_ignored

    def summary(self) -> Iterator[str]:
        """A line of totals, one for each fault that occurred, and the notes."""
        counts = [counted(self.num_images, "image"), counted(self.num_objects, "object")]
        if self.num_stuff:
            counts.append(f"{counted(self.num_stuff, 'region')} of stuff")
        counts += [counted(self.num_ignored, "ignored region"), counted(self.counts.total(), "fault")]
        yield f"{self.source}: {', '.join(counts)}"
        yield from self.faults()
        yield from self.notes

    def faults(self) -> list[str]:
        """A line for each kind of fault that occurred, the most frequent first."""
        kinds = [(fault.value, count) for fault, count in self.counts.most_common()]
        return [f"{self.source}: {count} x {wrong}; {done}" for (wrong, done), count in kinds]
