"""XML files that would grow, or name other files, are refused before anything in them is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskrcnn.data.formats.xml import read_xml
from maskrcnn.errors import UserError

BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "document",
    [
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "ha">{BOMB}]><annotations>&e9;</annotations>',
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
        '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://localhost/a.dtd"><annotations/>',
        '<?xml version="1.0"?><!DOCTYPE annotations><annotations/>',
    ],
    ids=["bomb", "file", "address", "empty"],
)
def test_a_document_type_is_refused(tmp_path: Path, document: str, encoding: str) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(document.encode(encoding))
    with pytest.raises(UserError, match="without a document type") as caught:
        read_xml(path)
    assert str(path) in str(caught.value) and "root:" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "no xml", "<a>", "<a></b>", "<a>&unknown;</a>", "<a/><b/>", "\0", "<a" + " x" * 9]
)
def test_what_is_no_xml_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(UserError, match="expected XML") as caught:
        read_xml(path)
    assert str(path) in str(caught.value)


def test_nested_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<a>" * 100_000)
    with pytest.raises(UserError, match="nested"):
        read_xml(path)


def test_plain_text_and_references_to_characters(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text('<a b="1 &amp; 2">x &#65;<![CDATA[<c>]]></a>')
    root = read_xml(path)
    assert (root.tag, root.get("b"), root.text) == ("a", "1 & 2", "x A<c>")
