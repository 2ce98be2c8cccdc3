"""The JSON files of a folder that hold labels of a form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from maskrcnn.data.formats.content import ContentBuilder
from maskrcnn.data.formats.listing import Listing
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError

LOOKED_AT = 5
"""Files by which a form is recognised."""

_WITHOUT_LABELS = ("captions_", "image_info_")
"""What COCO puts beside its labels, and before them in the alphabet, by the start of the name."""


def first_json(listing: Listing) -> list[str]:
    """The files by which a form is recognised; what holds no labels is looked at only where there is nothing else."""
    names = listing.labels(".json")
    labels = (name for name in names if not name.rpartition("/")[2].startswith(_WITHOUT_LABELS))
    return [*islice(labels, LOOKED_AT)] or names[:LOOKED_AT]


def json_files(
    listing: Listing, builder: ContentBuilder, is_label_file: Callable[[Any], bool], names: Iterable[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """Name and content of each file of labels; those that are broken or hold something else become faults.

    Args:
        listing: the folder.
        builder: takes down the faults.
        is_label_file: whether the content of a file has the form.
        names: the files to look at; None: all that end in `.json`.
    """
    for name in listing.labels(".json") if names is None else names:
        try:
            content = listing.json(name)
        except UserError as error:
            builder.failure(Fault.LABEL_FILE_BROKEN, name, error)
            continue
        if is_label_file(content):
            yield name, content
        else:
            builder.fault(Fault.LABEL_FILE_OTHER, name)
