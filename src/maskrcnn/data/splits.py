"""What is wrong with the pictures of a split, and between two splits though each is right by itself."""

from __future__ import annotations

from pathlib import Path

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.leaks import SAME_CONTENT, find_copies, find_leaks
from maskrcnn.text import counted, one_line

SWAPPED = 2
"""With this many times as many images to measure on as to learn from, the splits look exchanged."""


def copy_faults(split: LabelledImages) -> list[str]:
    """A line if pictures of one split have equal content; varied copies of one (`.rf.`) are meant to be there."""
    copies = [found.members for found in find_copies(_files(split)) if found.reason == SAME_CONTENT]
    if not copies:
        return []
    names = [one_line(split.labels.file_name(number)) for number in copies[0][:2]]
    number = counted(sum(map(len, copies)) - len(copies), "image")
    return [
        f"{split.report.source}: {number} with the content of an earlier one "
        f"({' and '.join(names)}); each copy counts as a picture of its own: keep one, with all objects"
    ]


def split_faults(train: LabelledImages, val: LabelledImages) -> list[str]:
    """A line for each: pictures in both, too few to learn from, nothing to measure on."""
    source, faults = val.report.source, list[str]()
    for reason, pairs in find_leaks(_files(train), _files(val)).items():
        (first, second), *_ = pairs
        names = dict.fromkeys((train.labels.file_name(first), val.labels.file_name(second)))
        faults.append(
            f"{source}: {counted(len(pairs), 'image')} in {train.report.source} too, {reason} "
            f"({' and '.join(map(one_line, names))}); what is measured on them says nothing"
        )
    if len(val.labels) > SWAPPED * len(train.labels):
        faults.append(
            f"{source}: has {len(val.labels)} images and {train.report.source} only {len(train.labels)}; "
            "are the two swapped?"
        )
    if not num_measured(train, val):
        faults.append(f"{source}: has no object of a class to be learned, so nothing can be measured on it")
    return faults


def num_measured(train: LabelledImages, val: LabelledImages) -> int:
    """Objects to find and stuff, of classes that can be learned."""
    known = frozenset(train.categories.names)
    counts = val.labels.labels[~val.labels.ignore].bincount(minlength=len(val.categories)).tolist()
    return sum(count for name, count in zip(val.categories.names, counts, strict=True) if name in known)


def _files(split: LabelledImages) -> list[Path]:
    return [split.folder / name for name in split.labels.file_names]
