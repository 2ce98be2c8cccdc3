"""Boxes that come beside images, one set for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import TypeVar

from maskrcnn.errors import UserError
from maskrcnn.text import counted

T = TypeVar("T")
B = TypeVar("B")


def paired(images: Iterable[T], boxes: Iterable[B]) -> Iterator[tuple[T, B]]:
    """Each image with its boxes, taken after it.

    Raises:
        UserError: not as many of one as of the other: at once where both numbers are known; else when the boxes end
            before the images, or the images before a list of boxes.
    """
    if isinstance(images, Sized) and isinstance(boxes, Sized):
        _require_each(len(images), len(boxes))
    return _paired(images, boxes)


def _paired(images: Iterable[T], boxes: Iterable[B]) -> Iterator[tuple[T, B]]:
    number, left = 0, iter(boxes)
    for number, image in enumerate(images, start=1):
        own = list(islice(left, 1))
        if not own:
            raise UserError(f"proposals: expected boxes for each image, got those of {counted(number - 1, 'image')}")
        yield image, own[0]
    if isinstance(boxes, Sized):  # an endless stream may have more
        _require_each(number, len(boxes))


def _require_each(images: int, boxes: int) -> None:
    if images != boxes:
        raise UserError(f"proposals: expected boxes for each of {counted(images, 'image')}, got those of {boxes}")
