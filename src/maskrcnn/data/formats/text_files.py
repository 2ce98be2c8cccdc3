"""Text files beside labels, as editors of any system write them."""

from __future__ import annotations

import codecs
from pathlib import Path

from maskrcnn.files import read_regular


def read_text(path: Path, limit: int, expected: str) -> str:
    """The text of a file of at most `limit` bytes; raises `UserError` as `read_regular` does."""
    return decoded(read_regular(path, limit, expected))


def numbered_lines(text: str) -> list[str]:
    """The lines of a list whose items are known by their place, without the space around them.

    Empty ones at the end are left out, others are items.
    """
    return [line.strip() for line in text.rstrip().splitlines()]


def decoded(content: bytes) -> str:
    """UTF-8, or UTF-16 where its mark says so; Windows puts a mark in front of either, which is no text."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_wide else "utf-8-sig", "replace")
