"""The objects of an image that have an outline to be written: those with a mask of pixels, or with a box alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from maskrcnn.data.formats.writers.scene import Loss
from maskrcnn.detected import DetectedObject
from maskrcnn.prediction import Prediction

EMPTY = "objects have an empty mask and are left out"


def outlined(parts: Iterable[Prediction], loss: Loss) -> Iterator[tuple[int, DetectedObject]]:
    """Each with its number in the image, from 1 as in every form; an object whose mask is empty is counted as lost."""
    for number, found in enumerate(chain.from_iterable(parts), start=1):
        if found.prediction.has_masks and not found.area:
            loss[EMPTY] += 1
        else:
            yield number, found
