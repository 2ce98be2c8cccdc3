"""XML from anybody, read by the bare parser: no document type, so no entity that grows or names another file."""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from maskrcnn.errors import UserError

MAX_DEPTH = 64
"""Nested elements; label files have about ten."""


def parse_xml(content: bytes, where: str) -> Element:
    """The root element of an XML text; `where` names it in messages.

    Raises:
        UserError: it is no XML, has a document type, or is nested too deeply.
    """
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise UserError(f"{where}: expected labels, got XML nested more than {MAX_DEPTH} deep")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> None:
        raise UserError(f"{where}: expected labels without a document type, got <!DOCTYPE>; remove that line")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
        return builder.close()
    except expat.ExpatError as error:
        raise UserError(f"{where}: expected XML, but {error}; export the file again") from None
