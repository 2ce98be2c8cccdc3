"""Names that differ only in how they are spelled."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import normalize


def letters_of(name: str) -> str:
    """Equal for names that differ only in the case and the composition of letters."""
    return normalize("NFC", name).casefold()


def by_letters(names: Iterable[str]) -> dict[str, str | None]:
    """Each name by its letters; None: several have these."""
    found: dict[str, str | None] = {}
    for name in names:
        letters = letters_of(name)
        found[letters] = None if letters in found else name
    return found
