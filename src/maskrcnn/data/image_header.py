"""What an image file says of itself before it is decoded, and which way up its pixels are."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from maskrcnn.errors import UserError
from maskrcnn.structures import Size

ORIENTATION_TAG = 0x0112
"""Of EXIF, and of TIFF."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that sets a picture upright, by its EXIF orientation; 1 and unknown values need none."""
_INVERSE = {6: 8, 8: 6}
"""The orientation whose operation undoes another's; the rest undo themselves."""


class TooManyPixels(UserError):
    """An image claims more pixels than the limit."""


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself before it is decoded.

    Attributes:
        size: (height, width) of the upright picture.
        raw_size: (height, width) of the pixels as stored, before the EXIF orientation is applied.
        orientation: EXIF orientation, 1 to 8.
        channels: how many values a pixel has.
    """

    size: Size
    raw_size: Size
    orientation: int
    channels: int = 3

    @classmethod
    def of_stored(cls, raw_size: Size, orientation: int, channels: int) -> ImageHeader:
        """Of pixels that are stored with this orientation."""
        height, width = raw_size
        return cls((width, height) if orientation >= 5 else raw_size, raw_size, orientation, channels)

    def is_labelled_raw(self, label_size: Size) -> bool:
        """Whether labels made for `label_size` fit the stored pixels and not the upright picture."""
        return label_size != self.size and label_size == self.raw_size

    def require_labelled(self, label_size: Size) -> None:
        """A `UserError` where labels made for `label_size` fit neither way."""
        if label_size not in (self.size, self.raw_size):
            (height, width), (label_height, label_width) = self.size, label_size
            raise UserError(
                f"the picture is {width} x {height} but its labels are for {label_width} x {label_height}; "
                "correct width and height in the annotations, or the picture"
            )


def known_orientation(value: object) -> int:
    """An EXIF orientation; 1 where it is none."""
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def upright_turn(orientation: int) -> Image.Transpose | None:
    """What sets stored pixels upright."""
    return _UPRIGHT.get(orientation)


def as_stored(orientation: int) -> Image.Transpose | None:
    """What turns an upright picture back."""
    return _UPRIGHT.get(_INVERSE.get(orientation, orientation))


def require_bearable_size(size: tuple[int, int], max_pixels: int) -> None:
    """A `TooManyPixels` where (width, height) is more than that."""
    width, height = size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"the image claims {width} x {height} pixels, more than the limit of {max_pixels}; "
            "raise data.max_pixels if that is really its size"
        )
