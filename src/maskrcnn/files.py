"""Files that are either the old version or the new one, never half of each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from maskrcnn.errors import UserError

PARTIAL_SUFFIX = ".partial"
"""A file with this ending is a write that was cut off; anybody may delete it."""


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
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{path}: expected to write this file, but the system says: {reason}; "
            "free some space or choose another output directory (what was there before is unharmed)"
        ) from error
    finally:
        _remove_quietly(partial)


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
