"""What every pixel belongs to by the labels: an object, a class of stuff, background, or nobody knows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.geometry import View
from maskrcnn.data.semantic import draw_owners
from maskrcnn.structures.labels import MaskKind
from maskrcnn.structures.panoptic import PanopticMap, Segment


def draw_panoptic(data: LabelledImages, image: int, classes: Mapping[int, int], background: int) -> PanopticMap:
    """The panoptic map of an image by its labels; a pixel belongs to the smallest object on it, as in `draw_semantic`.

    0, void, is where nobody knows: objects of other classes, those known by their boxes alone, and pixels without any
    label where these are void (`has_void`). Crowds of a class are one segment.

    Args:
        data: the labels.
        image: number of the image.
        classes: what each label is called in the map; others are unknown.
        background: label of the segment of pixels that no label is on.
    """
    labels = data.labels
    own = labels.objects(image)
    numbers = dict[tuple[int, bool, int], int]()  # of segments: class, whether a crowd, and the object of a thing
    table = np.zeros(len(own) + 1, np.int32)  # the segment of each object, last that of pixels without any
    for place, number in enumerate(own):
        label, is_crowd = classes.get(int(labels.labels[number])), bool(labels.ignore[number])
        if label is not None and not (is_crowd and labels.mask_kinds[number] == MaskKind.NONE):
            is_one = not is_crowd and not labels.stuff[number]
            table[place] = numbers.setdefault((label, is_crowd, number if is_one else -1), len(numbers) + 1)
    if not data.has_void:
        table[-1] = numbers.setdefault((background, False, -1), len(numbers) + 1)
    owners = draw_owners(labels, image, View.whole(labels.size(image)))
    drawn = table[np.where(owners < 0, len(own), owners - own.start)]
    areas = np.bincount(drawn.ravel(), minlength=len(numbers) + 1).tolist()
    segments = [Segment(n, label, areas[n], is_crowd=crowd) for (label, crowd, _), n in numbers.items() if areas[n]]
    return PanopticMap(drawn, tuple(segments))
