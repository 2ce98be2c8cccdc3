"""Which pictures a resumed run finds changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from maskrcnn.config import Config
from maskrcnn.data import content
from maskrcnn.data.content import content_of
from maskrcnn.training.data import TrainingData
from maskrcnn.training.pictures import SeenPictures

READ = (0, 1, 3)
"""Of four images; training has not come to 2.png."""


def ignore(line: str) -> None:
    pass


@pytest.fixture
def folder(config: Config) -> Path:
    return Path(config.data.root) / "images"


@pytest.fixture
def table(config: Config, tmp_path: Path) -> Path:
    """What a run has left."""
    dataset = TrainingData.open(config, ignore).dataset
    seen = SeenPictures(dataset)
    for image in READ:
        seen.note(image, content_of(dataset.path(image)))
    seen.save(tmp_path / "pictures.safetensors")
    return tmp_path / "pictures.safetensors"


@pytest.fixture
def checksums(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read for their checksum."""
    names: list[str] = []
    monkeypatch.setattr(content, "content_of", lambda path: names.append(path.name) or content_of(path))
    return names


def changed(config: Config, table: Path, say: Callable[[str], None] = ignore) -> list[str]:
    return SeenPictures(TrainingData.open(config, ignore).dataset).compare(table, say)


def test_nothing_is_read_where_nothing_has_changed(config: Config, table: Path, checksums: list[str]) -> None:
    assert changed(config, table) == [] and checksums == []


def test_another_time_stamp_alone_is_no_change(
    config: Config, table: Path, folder: Path, checksums: list[str], tmp_path: Path
) -> None:
    os.utime(folder / "1.png", (0, 0))
    seen = SeenPictures(TrainingData.open(config, ignore).dataset)
    assert seen.compare(table, ignore) == [] and checksums == ["1.png"]
    seen.save(table)
    assert changed(config, table) == [] and checksums == ["1.png"], "the new time stamp is known from now on"


def test_moved_data_are_compared_by_their_checksums(
    config: Config, table: Path, checksums: list[str], tmp_path: Path
) -> None:
    shutil.move(config.data.root, tmp_path / "elsewhere")
    lines: list[str] = []
    moved = replace(config, data=replace(config.data, root=str(tmp_path / "elsewhere")))
    assert changed(moved, table, lines.append) == []
    assert checksums == [f"{image}.png" for image in READ]
    assert len(lines) == 1 and "the images have moved from" in lines[0]


@pytest.mark.parametrize("change", ["a bit", "a byte more", "gone"])
def test_changed_pictures_are_named(config: Config, table: Path, folder: Path, change: str) -> None:
    dataset = TrainingData.open(config, ignore).dataset
    for name in ("3.png", "2.png"):  # the second was never read
        content = (folder / name).read_bytes()
        flipped = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]
        (folder / name).unlink()
        if change != "gone":
            (folder / name).write_bytes(flipped if change == "a bit" else content + b"\0")
    assert SeenPictures(dataset).compare(table, ignore) == ["3.png"]


def test_a_damaged_table_is_said(config: Config, table: Path) -> None:
    table.write_bytes(b"")
    lines: list[str] = []
    assert changed(config, table, lines.append) == []
    assert len(lines) == 1 and "the pictures are not compared" in lines[0]


def test_the_steps_note_what_they_read(config: Config, folder: Path, tmp_path: Path) -> None:
    """With worker processes too."""
    for workers in (0, 2):
        data = TrainingData.open(replace(config, data=replace(config.data, num_workers=workers)), ignore)
        list(data.steps(config, start=0))
        data.pictures.save(tmp_path / f"{workers}.safetensors")
        assert changed(config, tmp_path / f"{workers}.safetensors") == []
    with (folder / "2.png").open("ab") as file:
        file.write(b"\0")
    assert changed(config, tmp_path / "0.safetensors") == changed(config, tmp_path / "2.safetensors") == ["2.png"]
