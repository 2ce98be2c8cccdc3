from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from maskrcnn.errors import UserError
from maskrcnn.files import remove_partial_files, write_atomically


class Crash(BaseException):
    """Stands for the process ending there and then."""


def test_bytes_text_and_functions(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"\x00\xff")
    write_atomically(tmp_path / "b", "äöü")
    write_atomically(tmp_path / "deep" / "er" / "c", lambda path: path.write_text("called"))
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_text(encoding="utf-8") == "äöü"
    assert (tmp_path / "deep" / "er" / "c").read_text() == "called"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "deep"]


def test_crash_between_write_and_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def crash(source: object, target: object) -> None:
        raise Crash

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(Crash):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_bytes_are_synced_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        events.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        real_sync(descriptor)

    def replace(source: Path, target: Path) -> None:
        events.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomically(tmp_path / "file", b"new")
    assert events == ["file", "rename", "folder"]


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(partial: Path) -> None:
        partial.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match="No space left on device") as caught:
        write_atomically(path, fail)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file, not a folder")
    with pytest.raises(UserError, match=r"blocked/name.*(Not a directory|File exists)"):
        write_atomically(tmp_path / "blocked" / "name", b"")


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".file.123.partial").write_bytes(b"half")
    (tmp_path / "file").write_bytes(b"whole")
    remove_partial_files(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    remove_partial_files(tmp_path / "absent")
