from __future__ import annotations

from pathlib import Path

import pytest

from maskrcnn.data.file_names import find_image, is_safe_name


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("a.png", "a.png"),
        ("x/a.png", "x/a.png"),
        ("/data/x/a.png", "x/a.png"),
        ("D:\\data\\x\\a.png", "x/a.png"),
        ("/data/y/a.png", "a.png"),
        ("x\\a.png", "x/a.png"),
        ("../../a.png", "a.png"),
        ("b.png", None),
        ("x", None),
        ("/", None),
        ("", None),
        ("a.png\0", None),
        ("\ud800/a.png", "a.png"),
    ],
)
def test_the_longest_end_that_is_there(tmp_path: Path, stated: str, found: str | None) -> None:
    assert find_image(make(tmp_path, "a.png", "x/a.png"), stated) == found


def test_nothing_outside_the_folder_is_found(tmp_path: Path) -> None:
    make(tmp_path, "secret.png", "images/a.png")
    for stated in ("../secret.png", str(tmp_path / "secret.png"), "x/../../secret.png"):
        assert find_image(tmp_path / "images", stated) is None


def test_a_name_of_a_million_parts(tmp_path: Path) -> None:
    assert find_image(make(tmp_path, "a.png"), "x/" * 1_000_000 + "a.png") == "a.png"


@pytest.mark.parametrize("name", ["a.png", "a/b.png", "a..b.png", "..a/b", ".hidden", "é.png", "a b.png"])
def test_safe_names(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name", ["", "/a", "\\a", "\\\\host\\a", "C:\\a", "c:a", "..", "../a", "a/../../b", "a\\..\\b", "a\0b", "\udc80"]
)
def test_unsafe_names(name: str) -> None:
    assert not is_safe_name(name)
