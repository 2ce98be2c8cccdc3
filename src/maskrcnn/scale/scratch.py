"""A folder in the output for as long as a process works, which other processes can tell from one left behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from maskrcnn.errors import UserError
from maskrcnn.files import sole_writer

PREFIX = ".names-"
PATIENCE = 30.0
"""Seconds to wait for others that begin at the same time."""


@contextmanager
def scratch_folder(output: Path) -> Iterator[Path]:
    """A new folder, gone at the end; those of processes that were killed go too.

    Raises:
        UserError: the output cannot be written, or a process predicts into it without shards.
    """
    with ExitStack() as stack:
        with sole_writer(output, "predicting into", PATIENCE):
            for other in output.glob(f"{PREFIX}*"):
                _remove_if_left(other)
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=output))
            stack.enter_context(sole_writer(folder, "at work in"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def _remove_if_left(folder: Path) -> None:
    with suppress(UserError), sole_writer(folder, "at work in"):
        shutil.rmtree(folder, ignore_errors=True)
