"""What is wrong between two splits of a data set, though each is right by itself."""

from __future__ import annotations

from pathlib import Path

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.leaks import find_leaks
from maskrcnn.text import one_line

SWAPPED = 2
"""So many times as many images to measure on as to learn from look like a mistake."""


def split_faults(train: LabelledImages, val: LabelledImages) -> list[str]:
    """A line for each: pictures in both, too few to learn from, nothing to measure on."""
    source, faults = val.report.source, list[str]()
    for reason, pairs in find_leaks(_files(train), _files(val)).items():
        (first, second), *_ = pairs
        names = dict.fromkeys((train.labels.file_name(first), val.labels.file_name(second)))
        faults.append(
            f"{source}: {len(pairs)} images are in {train.report.source} too, {reason} "
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
    """Objects to find, of classes that can be learned."""
    known = frozenset(train.categories.names)
    counts = val.labels.labels[~val.labels.ignore].bincount(minlength=len(val.categories)).tolist()
    return sum(count for name, count in zip(val.categories.names, counts, strict=True) if name in known)


def _files(split: LabelledImages) -> list[Path]:
    return [split.folder / name for name in split.labels.file_names]
