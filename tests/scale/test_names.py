"""Folders with all below them, patterns, lists and addresses become names, one after the other."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.errors import UserError
from maskrcnn.marks import MARK
from maskrcnn.scale.names import image_names


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Names are all that counts; the files are empty."""
    for name in ("cells/a.png", "cells/.b.png", "cells/deep/c.JPG", "cells/deep/er/d.tif", "cells/notes.md", "e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "cells/again").symlink_to(tmp_path / "cells")  # a circle
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("cells", {"cells/a.png", "cells/.b.png", "cells/deep/c.JPG", "cells/deep/er/d.tif"}),
        ("./cells/", {"cells/a.png", "cells/.b.png", "cells/deep/c.JPG", "cells/deep/er/d.tif"}),
        ("cells/*.png", {"cells/a.png"}),
        ("cells/.*.png", {"cells/.b.png"}),
        ("cells/d*/*", {"cells/deep/c.JPG"}),
        ("cells/deep/**/*.[tj]*", {"cells/deep/er/d.tif"}),
        ("cells/deep/**", {"cells/deep/c.JPG", "cells/deep/er/d.tif"}),
        ("*.png", {"e.png"}),
        ("e.png", {"e.png"}),
        ("cells/notes.md", {"cells/notes.md"}),  # a file named outright: its content decides
    ],
)
def test_what_a_source_stands_for(tree: Path, source: str, expected: set[str]) -> None:
    if source == "cells/deep/**/*.[tj]*":
        (tree / "cells/deep/c.JPG").unlink()
    assert set(image_names([source])) == expected


def test_a_pattern_finds_what_glob_finds(tree: Path) -> None:
    for pattern in ("cells/**/*.*", "c*/*/*.*", "**/*.tif", "**/*.png", "cells/deep/[a-c].*"):
        found = {str(path) for path in tree.glob(pattern) if path.is_file() and "again" not in str(path)}
        expected = {os.path.relpath(name, tree) for name in found if not name.endswith((".md", ".b.png"))}
        assert {name for name in image_names([pattern]) if "again" not in name} == expected


@pytest.mark.parametrize(
    ("source", "expected", "left_out"),
    [
        (".", {"cells/a.png", "e.png", "cells/own.png"}, "3 results of predict, 1 .gif"),
        ("*/*.png", {"cells/a.png", "cells/own.png"}, "1 result of predict"),
        ("**/*.png", {"cells/a.png", "e.png", "cells/own.png"}, "3 results of predict"),
        ("**", {"cells/a.png", "e.png", "cells/own.png"}, "3 results of predict, 1 .gif"),
        ("cells/labels", {"cells/labels/masks/m.png", "cells/labels/deep/n.png"}, ""),
        ("cells/a_2.png", {"cells/a_2.png"}, ""),
    ],
)
def test_what_predict_wrote_itself_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, expected: set[str], left_out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ("e.png", "cells/a.png", "cells/a_2.png", "cells/own.png", "cells/b.gif")
    for name in (*files, "cells/labels/masks/m.png", "cells/labels/deep/n.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("cells/a_2.png").write_text(MARK)
    Path("cells/predictions.jsonl").write_text('{"picture": "a_2.png"}\n{"error": "broken"}\n')
    Path("cells/labels/.written.json").touch()
    notes: list[str] = []
    assert set(image_names([source], notes.append)) == expected
    assert notes == [f"{source}: left out {left_out}"] * bool(left_out)


@pytest.mark.parametrize("source", ["cells", "cells/deep/**/*.tif"])
def test_a_folder_that_may_not_be_read_is_counted(tree: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Such as lost+found; the others are taken."""
    Path("cells/deep/lost+found").mkdir()
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).rstrip("/").endswith("lost+found"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    before = set(image_names([source]))
    monkeypatch.setattr(os, "scandir", scandir)
    notes: list[str] = []
    assert set(image_names([source], notes.append)) == before
    assert [note.partition("left out ")[2] for note in notes] == ["1 folder that may not be read"]
    with pytest.raises(UserError, match=r"in it but 1 folder that may not be read$"):
        list(image_names(["cells/deep/lost+found"]))


def test_results_alone_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text(MARK)
    (tmp_path / "predictions.jsonl").write_text('{"picture": "a.png"}\n')
    with pytest.raises(UserError, match=r"no images .* in it but 1 result of predict$"):
        list(image_names([str(tmp_path)]))


def test_a_list_has_a_name_on_each_line(tree: Path) -> None:
    Path("all.txt").write_bytes("cells/a.png\r\n\n missing.png \ns3://bucket/ü.png\n".encode() + b"\xff.png")
    assert list(image_names(["all.txt"])) == ["cells/a.png", " missing.png ", "s3://bucket/ü.png", "\udcff.png"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent", "absent: expected an image, a folder, a pattern"),
        ("absent.txt", "absent.txt: expected an image, a folder"),
        ("cells/*.bmp", r"cells/\*.bmp: no images"),
        ("nowhere/*.png", r"nowhere/\*.png: no images"),
        ("empty.txt", "empty.txt: no images"),
        ("memory://nowhere", "memory://nowhere: no such object or folder"),
        ("github://a/b.png", "github://a/b.png: expected an address that begins with one of abfs"),
        ("simplecache::memory://a.png", "expected an address that begins with one of"),
    ],
)
def test_what_is_no_source(tree: Path, source: str, message: str) -> None:
    Path("empty.txt").write_text("\n")
    with pytest.raises(UserError, match=message):
        list(image_names([source]))


def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    def peak(number: int) -> int:
        folder = tmp_path / str(number)
        folder.mkdir()
        for i in range(number):
            (folder / f"{i}.png").touch()
        tracemalloc.start()
        for sources in ([str(folder)], [f"{folder}/*.png"]):
            assert sum(1 for _ in image_names(sources)) == number
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert min(peak(3000), peak(3001)) < peak(100) + 100_000, "Python's table of interned names may grow in one of them"
