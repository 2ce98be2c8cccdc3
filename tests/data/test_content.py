from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from maskrcnn.data import content
from maskrcnn.data.content import Content, content_if_same, content_of, has_size_of


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100])
def test_the_checksum_is_that_of_the_whole_file(tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_BLOCK", 8)
    path = tmp_path / "file"
    path.write_bytes(bytes(range(length)))
    os.utime(path, ns=(1, 123_456_789))
    assert content_of(path) == Content(zlib.crc32(bytes(range(length))), length, 123_456_789)


def test_what_has_not_changed_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    before = content_of(path)
    path.write_bytes(b"4321")
    os.utime(path, ns=(before.time, before.time))
    assert content_if_same(path, before) == before and content_if_same(path, before, trust_time=False) is None
    os.utime(path, ns=(1, 1))
    assert content_if_same(path, before) is None, "another time stamp: the bytes count"
    path.write_bytes(b"1234")
    os.utime(path, ns=(1, 1))
    assert content_if_same(path, before) == Content(before.checksum, 4, 1)
    path.unlink()
    assert content_if_same(path, before) is None


def test_a_size_is_told_without_reading(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    before = content_of(path)
    path.write_bytes(b"4321")
    assert has_size_of(path, before)
    path.write_bytes(b"12345")
    assert not has_size_of(path, before)
    path.unlink()
    assert not has_size_of(path, before)
