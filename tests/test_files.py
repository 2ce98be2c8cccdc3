from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from maskrcnn.errors import UserError
from maskrcnn.files import read_regular, remove_partial_files, sole_writer, unexpected, write_atomically


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe would wait for ever, /dev/zero never end."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(UserError, match=f"{path}: expected labels, got a device or a pipe"):
            read_regular(path, 10, "labels")
    with pytest.raises(UserError, match="expected labels, got a folder"):
        read_regular(tmp_path, 10, "labels")


def test_what_is_not_there_or_too_large_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for missing in (path, path / "inside"):
        with pytest.raises(UserError, match="no such file; expected labels"):
            read_regular(missing, 10, "labels")
    path.write_bytes(b"0123456789")
    assert read_regular(path, 10) == b"0123456789"
    with pytest.raises(UserError, match=r"file: expected labels, of at most 9 bytes, but the file is larger"):
        read_regular(path, 9, "labels")
    with pytest.raises(UserError, match="cannot read this file"):
        read_regular("a\0b", 9)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "file").chmod(0)
    with pytest.raises(UserError, match=r"cannot read this file \(Permission denied"):
        read_regular(tmp_path / "file", 10)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    error = unexpected(tmp_path / "x.png", b"GIF89a", "a PNG picture", "look at it")
    assert str(error) == f"{tmp_path / 'x.png'}: expected a PNG picture, got a GIF picture; save it as PNG"
    assert str(unexpected("x", b"??", "labels", "look at it")).endswith("got a file that starts with b'??'; look at it")


def test_one_process_writes_to_a_folder(tmp_path: Path) -> None:
    """Another is refused in one line; a folder that nothing was written to goes again."""
    folder = tmp_path / "out"
    with sole_writer(folder, "painting"):
        with pytest.raises(UserError, match=r"out: .*another process is painting it; .*--output"):
            sole_writer(folder, "painting").__enter__()
        assert [path.name for path in folder.iterdir()] == [".lock"]
    assert not folder.exists()
    with sole_writer(folder, "painting"):
        (folder / "picture").write_text("")
    with sole_writer(folder, "painting"):
        pass
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "picture"]
