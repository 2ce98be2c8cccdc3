"""What is drawn of objects, and how."""

from __future__ import annotations

from dataclasses import dataclass

from maskrcnn.errors import UserError
from maskrcnn.text import one_line

PARTS = ("boxes", "labels", "masks")


@dataclass(frozen=True)
class Drawing:
    """Choices of a picture.

    Attributes:
        parts: some of `PARTS`; where masks are wanted and there is none, its box is drawn.
        line_width: pixels of the picture; None: what suits its size.
        longest_side: the picture is made at most so many pixels long; None: as large as the image, small ones larger.
    """

    parts: tuple[str, ...] = ("labels", "masks")
    line_width: int | None = None
    longest_side: int | None = None

    def __post_init__(self) -> None:
        if unknown := [part for part in self.parts if part not in PARTS]:
            raise UserError(f"draw {one_line(unknown[0])}: expected some of {', '.join(PARTS)}")


USUAL = Drawing()
