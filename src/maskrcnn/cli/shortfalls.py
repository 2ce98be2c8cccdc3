"""What the results of a run may lack, told in a line each at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from maskrcnn.cli.large import Part
from maskrcnn.config import Config
from maskrcnn.data.channels import Channels
from maskrcnn.data.pages import has_several_pages
from maskrcnn.text import counted


@dataclass
class Shortfalls:
    """Over the parts of a run.

    Attributes:
        config: of the model.
        max_detections: as it was asked for; who names a limit knows of it.
        images_at_limit: with as many objects as are looked for.
        tiles_at_limit: the same of images that were cut.
        files_with_pages: of which the first was used.
    """

    config: Config
    max_detections: int | None = None
    images_at_limit: int = 0
    tiles_at_limit: int = 0
    files_with_pages: int = 0

    def noted(self, parts: Iterator[Part]) -> Iterator[Part]:
        """The same parts, each counted when it comes."""
        rgb = Channels.of(self.config.input).rgb  # otherwise pages are channels
        for part in parts:
            self.images_at_limit += 0 if part.in_tiles else part.found.limited
            self.tiles_at_limit += part.found.limited if part.in_tiles else 0
            self.files_with_pages += int(rgb and not part.more and has_several_pages(part.source))
            yield part

    def warnings(self) -> Iterator[str]:
        """A line for each kind that there is."""
        if self.max_detections is None and (self.images_at_limit or self.tiles_at_limit):
            numbers = ((self.images_at_limit, "image"), (self.tiles_at_limit, "tile"))
            what = " and ".join(counted(number, noun) for number, noun in numbers if number)
            limit = counted(self.config.box_head.max_detections, "object")
            smaller = "smaller tiles (--tile N) or " if self.tiles_at_limit else ""
            yield f"warning: {what} reached the limit of {limit}; there may be more: {smaller}--max-detections N"
        if self.files_with_pages:
            files = f"{counted(self.files_with_pages, 'file')} {'has' if self.files_with_pages == 1 else 'have'}"
            yield f"warning: {files} several pages or frames; only the first was used: save the others as files"
