"""A mark in the pictures that `predict` writes: by it alone they are told from pictures of the user's own.

Nothing else is left out of what a folder gives, overwritten or removed, whatever a file of rows says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.files import open_regular

MARK = "drawn by maskrcnn"

_HEAD = 4096
"""Bytes at the beginning of a file, in which Pillow puts texts and comments."""


def mark_options(kind: str) -> dict[str, Any]:
    """Options for Pillow's `save` that write the mark; empty for formats other than PNG and JPEG."""
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        texts = PngInfo()
        texts.add_text("Software", MARK)
        return {"pnginfo": texts}
    return {"comment": MARK} if kind == "JPEG" else {}


def is_marked(path: Path) -> bool:
    """Whether a file, and no link to one, has the mark."""
    try:
        if path.is_symlink():
            return False
        with open_regular(path) as file:
            return MARK.encode() in file.read(_HEAD)
    except (OSError, UserError):
        return False
