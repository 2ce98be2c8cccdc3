"""Object stores, with fsspec's own store in memory in the place of one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.errors import UserError
from maskrcnn.scale import objects
from maskrcnn.scale.names import image_names
from maskrcnn.scale.objects import read_object

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `cloud`)")


@pytest.fixture
def store() -> Iterator[Any]:
    """A bucket with two images, a list and something else."""
    memory = fsspec.filesystem("memory")
    memory.pipe({"/bucket/a.png": b"a", "/bucket/deep/b.jpg": b"bb", "/bucket/notes.md": b""})
    memory.pipe("/bucket/all.txt", b"memory://bucket/a.png\n\ncells/local.png\n")
    yield memory
    memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("memory://bucket", ["memory:///bucket/a.png", "memory:///bucket/deep/b.jpg"]),
        ("memory://bucket/*.png", ["memory:///bucket/a.png"]),
        ("memory://bucket/**/*.jpg", ["memory:///bucket/deep/b.jpg"]),
        ("memory://bucket/deep/b.jpg", ["memory://bucket/deep/b.jpg"]),
        ("memory://bucket/all.txt", ["memory://bucket/a.png", "cells/local.png"]),
    ],
)
def test_listings(store: Any, address: str, expected: list[str]) -> None:
    names = list(image_names([address]))
    assert names == expected
    assert [read_object(name) for name in names if name.startswith("memory")]


def test_files_by_address(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.png").write_bytes(b"a")
    (name,) = image_names([f"file://{tmp_path}"])
    assert name == f"file://{tmp_path}/deep/a.png" and read_object(name) == b"a"


def test_what_cannot_be_read(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.setattr(objects, "LARGEST_OBJECT", 1)
    for address, message in (
        ("memory://bucket/c.png", "memory://bucket/c.png: no such object"),
        ("memory://bucket/deep", "expected an image, got a folder"),
        (f"file://{tmp_path}/pipe.png", "got a folder or a device"),
        ("memory://bucket/deep/b.jpg", "an object of more than 0 MiB"),
        ("s4://bucket/a.png", "expected an address that begins with"),
    ):
        with pytest.raises(UserError, match=message):
            read_object(address)
    assert read_object("memory://bucket/a.png") == b"a"


def test_what_a_store_answers_is_said_in_one_line(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("AccessDenied\nfor you")

    monkeypatch.setattr(type(store), "info", refuse)
    with pytest.raises(UserError) as raised:
        read_object("memory://bucket/a.png")
    assert str(raised.value).startswith("memory://bucket/a.png: the store cannot be asked (AccessDenied for you)")


def test_without_fsspec_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UserError, match="need the library fsspec; install it: pip install fsspec"):
        read_object("s3://bucket/a.png")
