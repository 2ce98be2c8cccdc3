"""The classes of the labels, by which the weights to start with are chosen before training reads the data."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from maskrcnn.config import Config
    from maskrcnn.data.formats.content import LabelContent

LARGEST_PEEK = 64_000_000
"""Bytes of labels that are read for their classes alone."""
MOST_FILES = 2000
"""Of a data folder, likewise; each may be a mask to decode."""


def labelled_classes(config: Config) -> tuple[tuple[str, ...], LabelContent | None]:
    """The names of the classes, none where they are not known yet, and the labels where all had to be read for them.

    Raises:
        UserError: no known form of labels, or several.
    """
    from maskrcnn.training.division import undivided_labels

    labels = undivided_labels(config)
    return (_class_names(config), None) if labels is None else (labels.class_names, labels)


def shown_classes(config: Config, say: Callable[[str], object]) -> tuple[str, ...]:
    """The names of the classes where settings are only shown: labels need neither be there nor be read for long.

    Args:
        config: the settings.
        say: gets a line where the labels are not read.
    """
    from maskrcnn.training.division import is_to_divide

    root, shown = Path(config.data.root), "these settings are those for classes that no bundled model knows"
    if is_to_divide(config) and _takes_long(root):
        say(f"{root}: too much to read for its classes alone, so {shown}; training reads them")
        return ()
    try:
        return labelled_classes(config)[0]
    except UserError:
        say(f"{root}: the labels cannot be read, so {shown}; `maskrcnn check` says why")
        return ()


def _takes_long(root: Path) -> bool:
    """Whether there are many files, or many bytes in those that are no pictures."""
    from maskrcnn.data.formats.listing import PICTURES

    below = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    files = [root] if root.is_file() else list(islice(below, MOST_FILES + 1))
    others = [file for file in files if file.suffix.lower() not in PICTURES and file.is_file()]
    return len(files) > MOST_FILES or sum(file.stat().st_size for file in others) > LARGEST_PEEK


def _class_names(config: Config) -> tuple[str, ...]:
    """Of a COCO file that is named, or of the usual layout; what is wrong with it is said when it is read."""
    from maskrcnn.training.division import naming_of

    path = Path(config.data.root) / config.data.train_annotations
    try:
        if path.stat().st_size > LARGEST_PEEK:
            return ()
        names = tuple(str(category["name"]) for category in json.loads(path.read_bytes())["categories"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ()
    return naming_of(config).names(names)
