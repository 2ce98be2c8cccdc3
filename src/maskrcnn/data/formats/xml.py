"""XML label files, read by the bare parser: no document type, so no entity that could grow or name another file."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from maskrcnn.errors import UserError
from maskrcnn.files import read_regular

MAX_BYTES = 2**30
MAX_DEPTH = 64
"""Nested elements; label files have about ten."""


def read_xml(path: Path) -> Element:
    """The root element of an XML file.

    Raises:
        UserError: it cannot be read, is no XML, has a document type, or is nested too deeply.
    """
    content = read_regular(path, MAX_BYTES, "an XML file")
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise UserError(f"{path}: expected a label file, got XML nested more than {MAX_DEPTH} deep")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> None:
        raise UserError(f"{path}: expected a label file without a document type, got <!DOCTYPE>; remove that line")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
        return builder.close()
    except expat.ExpatError as error:
        raise UserError(f"{path}: expected XML, but {error}; export the file again") from None


def text_of(element: Element, path: str) -> str | None:
    """The text of a child, without the space around it."""
    found = element.findtext(path)
    return found.strip() if found is not None else None


def number_of(text: str | None) -> float | None:
    """A number of bearable size, or None."""
    try:
        value = float(text) if text is not None and len(text) < 100 else None
    except ValueError:
        return None
    return value if value is not None and abs(value) <= 1e9 else None
