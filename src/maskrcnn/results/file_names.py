"""Class names as parts of file names."""

from __future__ import annotations

import re

LONGEST = 60


def plain_name(name: str) -> str:
    """Letters, digits, dash and underscore of ASCII; anything else becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:LONGEST]
