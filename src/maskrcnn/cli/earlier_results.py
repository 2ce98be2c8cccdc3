"""What an earlier run of `maskrcnn predict` left in the output, as far as the next one must know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from maskrcnn.data.outputs import drawn_pictures
from maskrcnn.errors import UserError
from maskrcnn.text import counted


def without_pictures(sources: Sequence[Path], output: Path, note: Callable[[str], object]) -> list[Path]:
    """The sources that are no overlays of an earlier run in the output, which a shell's pattern names as well.

    Raises:
        UserError: all are.
    """
    pictures = {(output / name).resolve() for name in drawn_pictures(output)}
    kept = [source for source in sources if source.resolve() not in pictures]
    if not kept:
        raise UserError(f"{sources[0]}: a picture that an earlier run made; expected the image itself, name that")
    if len(kept) < len(sources):
        note(f"left out {counted(len(sources) - len(kept), 'result')} of predict in {output}")
    return kept
