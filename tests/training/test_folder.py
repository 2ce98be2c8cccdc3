from __future__ import annotations

import multiprocessing
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.training import folder
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.loop import train


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 0.0)


def hold(root: Path, connection: Connection) -> None:
    """In a process of its own: lock the folder, say so, and wait to be killed."""
    with RunFolder(root).locked():
        connection.send("locked")
        connection.recv()


def test_a_killed_process_leaves_no_lock_and_a_living_one_does(tmp_path: Path) -> None:
    root = tmp_path / "new" / "run"
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(root, theirs))
    process.start()
    assert ours.recv() == "locked"
    with pytest.raises(UserError, match=r"new/run: .*another process is training in it; .*--output"), lock(root):
        pass
    process.kill()
    process.join()
    with lock(root):
        pass


def lock(root: Path) -> AbstractContextManager[None]:
    return RunFolder(root).locked()


def test_the_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(tmp_path):
        raise ZeroDivisionError
    with lock(tmp_path):
        pass


def test_other_folders_are_free(tmp_path: Path) -> None:
    with lock(tmp_path / "a"), lock(tmp_path / "b"):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/run: .*Not a directory") as caught, lock(tmp_path / "file" / "run"):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("resume", [False, True])
def test_training_changes_nothing_in_a_folder_in_use(config: Config, tmp_path: Path, resume: bool) -> None:
    root = tmp_path / "run"
    with lock(root):
        (root / "state").mkdir()
        (root / "state" / ".step-1.safetensors.partial").write_text("the other process is writing it")
        before = sorted(root.rglob("*"))
        with pytest.raises(UserError, match="another process is training in it"):
            train(config, root, device="cpu", resume=resume)
        assert sorted(root.rglob("*")) == before
