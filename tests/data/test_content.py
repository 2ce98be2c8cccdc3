from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from maskrcnn.data import content
from maskrcnn.data.content import Content, content_of


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100])
def test_the_checksum_is_that_of_the_whole_file(tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_BLOCK", 8)
    path = tmp_path / "file"
    path.write_bytes(bytes(range(length)))
    os.utime(path, ns=(1, 123_456_789))
    assert content_of(path) == Content(zlib.crc32(bytes(range(length))), length, 123_456_789)
