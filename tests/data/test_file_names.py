from __future__ import annotations

import os
from pathlib import Path
from unicodedata import normalize

import pytest

from maskrcnn.data.file_names import FoundImage, ImageFolder, file_identity, find_image, is_safe_name


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


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("b%20c.png", "b c.png"),
        ("images/b%20c.png", "b c.png"),
        ("b+c.png", "b c.png"),
        ("100%25.png", "100%.png"),
        ("https://host/data/a.png?token=ab%2Fcd", "a.png"),
        ("/data/local-files/?d=x%2Fa.png", "x/a.png"),
        ("0f1e2d3c-a.png", "a.png"),
        ("/data/upload/4/0f1e2d3c-a.png", "a.png"),
        ("A.PNG", "a.png"),
        ("X/A.png", "x/a.png"),
        (" a.png ", "a.png"),
        ("a.png\n", "a.png"),
        (normalize("NFD", "é.png"), "é.png"),
        ("D.png", None),
        ("%2e%2e/secret.png", None),
    ],
)
def test_other_spellings_of_a_name(tmp_path: Path, stated: str, found: str | None) -> None:
    """`d.png` and `D.PNG` are two files, so another case of them means neither."""
    make(tmp_path, "secret.png")
    folder = make(tmp_path / "images", "a.png", "x/a.png", "b c.png", "100%.png", "é.png", "d.png", "D.PNG")
    assert find_image(folder, stated) == found


def test_a_name_that_is_right_stays_itself(tmp_path: Path) -> None:
    names = ("100%.png", "b%20c.png", "b c.png", "a+b.png", "0f1e2d3c-a.png", " a.png", "a.png?token=1")
    folder = make(tmp_path, *names)
    for name in names:
        assert ImageFolder(folder).find(name) == FoundImage(name, by_end=False)


def test_a_missing_name_is_looked_for_in_one_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[object] = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda folder: walks.append(folder) or walk(folder))
    folder = ImageFolder(make(tmp_path, "a.png"))
    assert [folder.find(f"none{i}.png") for i in range(20)] == [None] * 20 and len(walks) == 1


def test_one_file_has_one_identity(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    (tmp_path / "soft.png").symlink_to(tmp_path / "a.png")
    os.link(tmp_path / "a.png", tmp_path / "hard.png")
    same = {file_identity(tmp_path / name) for name in ("a.png", "soft.png", "hard.png", "./a.png")}
    assert len(same) == 1 and file_identity(tmp_path / "b.png") not in same
    assert file_identity(tmp_path / "x" / ".." / "no.png") == file_identity(tmp_path / "no.png")


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes with names")
def test_links_are_followed_to_regular_files(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.mkdir()
    (elsewhere / "a.png").write_bytes(b"x")
    os.mkfifo(elsewhere / "pipe.png")
    for name, target in {
        "file.png": elsewhere / "a.png",
        "folder": elsewhere,
        "nowhere.png": elsewhere / "absent.png",
        "itself.png": folder / "itself.png",
        "pipe.png": elsewhere / "pipe.png",
        "device.png": Path("/dev/zero"),
    }.items():
        (folder / name).symlink_to(target)
    assert find_image(folder, "file.png") == "file.png" and find_image(folder, "folder/a.png") == "folder/a.png"
    for name in ("nowhere.png", "itself.png", "pipe.png", "device.png", "folder/pipe.png"):
        assert find_image(folder, name) is None
    assert find_image(tmp_path / "images" / "folder", "a.png") == "a.png"
