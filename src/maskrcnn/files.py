"""Files: only regular ones are read, and written ones are either the old version or the new one, never half of each."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from maskrcnn.errors import UserError
from maskrcnn.file_kinds import START, kind_of

PARTIAL_SUFFIX = ".partial"
"""A file with this ending is a write that was cut off; it may be deleted."""

LOCK = ".lock"
"""In a folder that a process writes to; empty, and in nobody's way afterwards."""


def cache_folder() -> Path:
    """Where downloads are kept, and what takes long to be made again."""
    return Path(os.environ.get("MASKRCNN_CACHE") or "~/.cache/maskrcnn").expanduser()


def forget_oldest(folder: Path, keep: int, newest: Path | None = None) -> None:
    """Remove all but `keep` files and folders in a cache, those written last; `newest` counts as one of them.

    Raises:
        OSError: the folder cannot be read.
    """
    others = [path for path in folder.iterdir() if path != newest]
    others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for old in others[keep - (newest is not None) :]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(OSError):
                old.unlink()


def relative_path(path: str | os.PathLike[str], folder: str | os.PathLike[str] = os.curdir) -> str:
    """The path seen from a folder, with as many `..` as it takes; absolute where it is on another drive (Windows)."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return os.path.abspath(path)


def open_regular(path: str | os.PathLike[str], expected: str = "a file") -> BinaryIO:
    """Open a file to read its bytes; nothing else: to read from a pipe might take for ever, and a device never ends.

    Args:
        path: where the user says it is.
        expected: what it should be, for the message.

    Raises:
        UserError: there is none, it is a folder, a pipe, a socket or a device, or it may not be read.
    """
    try:
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  (the caller closes it)
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode):
            return file
        file.close()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; expected {expected}, check the path") from None
    except IsADirectoryError:
        mode = stat.S_IFDIR
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        if _is_special(path):
            mode = stat.S_IFSOCK
        else:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{path}: cannot read this file ({reason}); expected {expected}") from None
    what = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
    raise UserError(f"{path}: expected {expected}, got {what}; give the path of a file")


def read_regular(path: str | os.PathLike[str], limit: int, expected: str = "a file") -> bytes:
    """The bytes of a file. Raises as `open_regular`, and where there are more than `limit`."""
    with open_regular(path, expected) as file:
        size = os.fstat(file.fileno()).st_size  # Python makes room for as many bytes as are asked for
        content = file.read(min(limit, size) + 1)
    if len(content) > limit:
        raise UserError(f"{path}: expected {expected}, of at most {limit} bytes, but the file is larger")
    return content


def file_hash(path: str | os.PathLike[str], expected: str = "a file") -> str:
    """The SHA-256 of a file, hexadecimal. Raises as `open_regular`."""
    with open_regular(path, expected) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def unexpected(path: str | os.PathLike[str], start: bytes, expected: str, advice: str) -> UserError:
    """The error of a file that is something else, as its first bytes tell; `advice` where its kind has none."""
    kind = kind_of(start)
    return UserError(f"{path}: expected {expected}, got {kind.what}; {kind.advice or advice}")


def first_bytes(path: str | os.PathLike[str], expected: str) -> bytes:
    """Enough of a file to tell its kind. Raises as `open_regular`."""
    with open_regular(path, expected) as file:
        return file.read(START)


def _without_waiting(path: str, flags: int) -> int:
    """A pipe is opened at once, whether or not anybody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def _is_special(path: str | os.PathLike[str]) -> bool:
    """Whether it is there and neither a file nor a folder: a socket cannot be opened at all."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_atomically(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Replace `path` by `content` in one instant, so that a crash at any moment leaves a whole file.

    The bytes go to a temporary file in the same folder, reach the disk (fsync), and only then take the
    name; the folder is synced too, since the new name lives there.

    Args:
        path: what to write; missing parent folders are made.
        content: bytes, text (written as UTF-8), or a function that writes the file at the path it is given.

    Raises:
        UserError: the system refused (disk full, read-only, ...); `path` is then as it was before.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(partial, content)
        move_durably(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{path}: expected to write this file, but the system says: {reason}; "
            "free some space or choose another output directory (what was there before is unharmed)"
        ) from error
    finally:
        _remove_quietly(partial)


def move_durably(written: Path, path: Path) -> None:
    """Give a file, whose bytes have reached the disk, another name in its folder, in one instant. Raises OSError."""
    os.replace(written, path)
    _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make an output folder, or see that files can be written into it: before the work whose results it is for.

    Raises:
        UserError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}: expected a folder to write into, but the system says: {error.strerror or error}; "
            "choose another output directory"
        ) from error


@contextmanager
def sole_writer(folder: Path, work: str, patience: float = 0.0) -> Iterator[None]:
    """While entered, no other process is in here for this folder; the system ends it with the process, crash or not.

    Args:
        folder: where the work's results go; it is made, and goes again if nothing has been written.
        work: what is done here, for the message: "training in".
        patience: seconds to wait for another process to end.

    Raises:
        UserError: another process is at it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock, is_new = FileLock(folder / LOCK, timeout=patience), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{folder}: expected an output directory that nobody uses, but another process is {work} it; "
            "wait until it ends, stop it, or choose another --output"
        ) from None
    except OSError as error:
        raise UserError(
            f"{folder}: expected a folder to write to, but the system says: {error.strerror or error}; "
            "choose another --output"
        ) from error
    try:
        yield
    finally:
        if is_new and [path.name for path in folder.iterdir()] == [LOCK]:
            _remove_quietly(folder / LOCK)
            with suppress(OSError):
                folder.rmdir()
        lock.release()


def remove_partial_files(folder: Path) -> None:
    """Delete what interrupted writes left behind in `folder`."""
    for leftover in folder.glob(f".*{PARTIAL_SUFFIX}"):
        _remove_quietly(leftover)


def _fill(partial: Path, content: bytes | str | Callable[[Path], object]) -> None:
    if callable(content):
        content(partial)
    else:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    with partial.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is durable by itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder itself is gone or read-only: nothing to clean, and the first error matters more
        return
