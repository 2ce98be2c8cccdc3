"""The best and the worst images of an evaluation by the class of every pixel, truth beside prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maskrcnn.evaluation.parts import Part
from maskrcnn.evaluation.pictures import LONGEST_SIDE, LoadImage
from maskrcnn.structures.masks import ByteArray
from maskrcnn.structures.semantic import IGNORED
from maskrcnn.viz.inline import inline_jpeg
from maskrcnn.viz.label_maps import name_classes, tint_classes


@dataclass(frozen=True)
class LabelMaps:
    """One image to look at.

    Attributes:
        image_id: of the data set.
        name: its file name.
        accuracy: the share of right pixels among those whose class is known.
        stride: the maps have every so manyth pixel.
        truth: label map (h, w).
        found: the same as it was told.
    """

    image_id: int
    name: str
    accuracy: float
    stride: int
    truth: ByteArray
    found: ByteArray


@dataclass(frozen=True)
class PixelExample:
    """The same as pictures, as `data:` addresses."""

    maps: LabelMaps
    truth: str
    prediction: str


class PixelExamples:
    """Keeps the worst and the best of all images that it is shown, small ones: memory does not grow with their number.

    Args:
        num_worst: how many of the worst.
        num_best: how many of the best.
    """

    def __init__(self, num_worst: int = 4, num_best: int = 2) -> None:
        self._num_worst, self._most = num_worst, num_worst + num_best
        self._kept: list[LabelMaps] = []

    def add(self, image_id: int, name: str, truth: ByteArray, found: ByteArray) -> None:
        """Look at two label maps (H, W) of an image; one of which nothing is known is not shown."""
        known = truth != IGNORED
        if not known.any():
            return
        stride = -(-max(truth.shape) // LONGEST_SIDE)
        small, small_found = (pixels[::stride, ::stride].copy() for pixels in (truth, found))
        accuracy = float((truth == found)[known].mean())
        self.keep(LabelMaps(image_id, name, accuracy, stride, small, small_found))

    def keep(self, maps: LabelMaps) -> None:
        """Look at an image that was made small already."""
        self._kept.append(maps)
        self._kept.sort(key=lambda maps: maps.accuracy)
        if len(self._kept) > self._most:
            del self._kept[self._num_worst]  # neither among the worst nor among the best

    def worst_first(self) -> list[LabelMaps]:
        """Those that are kept."""
        return list(self._kept)


def draw_pixel_examples(
    examples: Sequence[LabelMaps], load_image: LoadImage, names: Sequence[str]
) -> list[PixelExample]:
    """Each image twice, its classes in colour: as they are and as they were told."""
    return [_drawn(maps, Part.of(load_image(maps.image_id)).pixels, names) for maps in examples]


def _drawn(maps: LabelMaps, image: ByteArray, names: Sequence[str]) -> PixelExample:
    small = image[:: maps.stride, :: maps.stride]
    truth, found = (
        inline_jpeg(name_classes(tint_classes(small, pixels, len(names)), pixels, names), LONGEST_SIDE)
        for pixels in (maps.truth, maps.found)
    )
    return PixelExample(maps, truth, found)
