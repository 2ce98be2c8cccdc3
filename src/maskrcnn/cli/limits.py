"""Images and tiles with as many objects as are looked for: their counts may be too low."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from maskrcnn.cli.large import Part
from maskrcnn.text import counted


@dataclass
class Limits:
    """Over the parts of a run.

    Attributes:
        limit: objects of an image or a tile at most.
        num_images: that reached it.
        num_tiles: the same of images that were cut.
    """

    limit: int
    num_images: int = 0
    num_tiles: int = 0

    def noted(self, parts: Iterator[Part]) -> Iterator[Part]:
        """The same parts, each counted when it comes."""
        for part in parts:
            self.num_images += 0 if part.in_tiles else part.found.limited
            self.num_tiles += part.found.limited if part.in_tiles else 0
            yield part

    def warning(self) -> str | None:
        """One line, or None where all objects were counted."""
        if not self.num_images and not self.num_tiles:
            return None
        numbers = ((self.num_images, "image"), (self.num_tiles, "tile"))
        what = " and ".join(counted(number, noun) for number, noun in numbers if number)
        smaller = "smaller tiles (--tile N) or " if self.num_tiles else ""
        return (
            f"warning: {what} reached the limit of {counted(self.limit, 'object')}; there may be more: "
            f"{smaller}--max-detections N"
        )
