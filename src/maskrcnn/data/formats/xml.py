"""XML label files."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from maskrcnn.data.formats.shapes import stated_size
from maskrcnn.files import read_regular
from maskrcnn.structures import Size
from maskrcnn.xml_values import parse_xml

MAX_BYTES = 2**30


def read_xml(path: Path) -> Element:
    """The root element of an XML file.

    Raises:
        UserError: it cannot be read, is no XML, has a document type, or is nested too deeply.
    """
    return parse_xml(read_regular(path, MAX_BYTES, "an XML file"), str(path))


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


def size_of(element: Element, height: str, width: str) -> Size | None:
    """(height, width) as two children state it."""
    return stated_size(number_of(text_of(element, height)), number_of(text_of(element, width)))
