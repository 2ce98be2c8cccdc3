"""Copies of pictures: the same file, equal content, and what Roboflow makes of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maskrcnn.data.leaks import SAME_CONTENT, SAME_FILE, SAME_ORIGIN, Copies, find_copies, find_leaks


def write(folder: Path, **contents: bytes) -> list[Path]:
    paths = [folder / f"{name}.png" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return paths


def test_pictures_of_their_own_are_copies_of_nothing(tmp_path: Path) -> None:
    """Not even those of equal size, with equal beginnings and ends, or without any content."""
    long = bytes(50_000)
    paths = write(tmp_path, a=b"aa", b=b"bb", c=b"", d=b"", e=long, f=long[:30_000] + b"x" + long[30_001:])
    assert find_copies(paths) == [] == find_copies([tmp_path / "none.png", tmp_path / "neither.png"])


def test_equal_content_is_found_whatever_the_name(tmp_path: Path) -> None:
    paths = write(tmp_path, a=b"1" * 20_000, b=b"2", c=b"1" * 20_000, d=b"2", e=b"3")
    assert find_copies(paths) == [Copies(SAME_CONTENT, (0, 2)), Copies(SAME_CONTENT, (1, 3))]


def test_a_file_is_the_same_under_any_spelling_and_by_links(tmp_path: Path) -> None:
    (path,) = write(tmp_path, a=b"1")
    os.link(path, tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to(path)
    spelled = [path, tmp_path / "x" / ".." / "a.png", tmp_path / "hard.png", tmp_path / "soft.png"]
    (tmp_path / "x").mkdir()
    assert find_copies(spelled) == [Copies(SAME_FILE, (0, 1, 2, 3))]


@pytest.mark.parametrize(
    ("names", "copies"),
    [
        (("a_png.rf.0f.jpg", "a_png.rf.1e.jpg"), True),
        (("a_png.rf.0f.jpg", "b_png.rf.0f.jpg"), False),
        (("a.png", "a.jpg"), False),
        ((".rf.1.jpg", ".rf.2.jpg"), False),
    ],
)
def test_copies_that_roboflow_makes_have_one_stem(tmp_path: Path, names: tuple[str, str], copies: bool) -> None:
    paths = [tmp_path / "train" / names[0], tmp_path / "valid" / names[1]]
    assert find_copies(paths) == ([Copies(SAME_ORIGIN, (0, 1))] if copies else [])


def test_leaks_are_the_copies_on_both_sides(tmp_path: Path) -> None:
    train = write(tmp_path, a=b"1", b=b"2", c=b"2", d_rf=b"4")
    val = [*write(tmp_path, e=b"1", f=b"5", g=b"5"), train[3]]
    assert find_leaks(train, val) == {SAME_FILE: [(3, 3)], SAME_CONTENT: [(0, 0)]}
    assert find_leaks(train, val[1:3]) == {} == find_leaks([], val)
