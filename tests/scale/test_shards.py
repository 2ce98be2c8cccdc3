"""Which shard a name belongs to, and names on disk."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import pytest

from maskrcnn.scale import shards
from maskrcnn.scale.shards import NameFiles, shard_of, sorted_once


@pytest.mark.parametrize(
    ("name", "seven", "many"),  # b2sum --length 64 of the name, as a number, modulo 7 and 64
    [("a.png", 2, 22), ("images/fluorescence_515.png", 2, 63), ("zellen/größe 1.tif", 2, 3), ("", 0, 52)],
)
def test_the_shard_of_a_name_stays(name: str, seven: int, many: int) -> None:
    assert (shard_of(name, 7), shard_of(name, 64), shard_of(name, 1)) == (seven, many, 0)


def test_shards_are_about_equal() -> None:
    counts = [0] * 64
    for number in range(6400):
        counts[shard_of(f"s3://bucket/{number:07d}.jpg", 64)] += 1
    assert min(counts) > 60 and max(counts) < 140, "100 each, with a standard deviation of 10"


def test_every_name_is_in_one_shard_sorted_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "HELD", 10)  # so that files are continued and sorted in parts
    names = [f"{number}.png" for number in range(100)] + ["two\nlines.png", "not utf-8 \udcff.png", "größe.png"]
    given = [*names, *names[:40]]
    random.Random(0).shuffle(given)
    files = NameFiles(tmp_path, 5)
    assert files.fill(given, range(5)) == 143
    found = [list(files.of(shard)) for shard in range(5)]
    assert sorted(name for shard in found for name in shard) == sorted(names)
    for number, own in enumerate(found):
        assert own == sorted(own) and {shard_of(name, 5) for name in own} <= {number}
    assert {path.name for path in tmp_path.iterdir()} == {f"{shard}.names" for shard in range(5)}


def test_names_of_other_shards_are_not_kept(tmp_path: Path) -> None:
    files = NameFiles(tmp_path, 3)
    assert files.fill((f"{number}.png" for number in range(30)), [1]) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["1.names"]
    assert list(files.of(0)) == [] and 0 < len(list(files.of(1))) < 30


def test_memory_does_not_grow_with_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "HELD", 2000)

    def peak(number: int) -> int:
        folder = tmp_path / str(number)
        folder.mkdir()
        tracemalloc.start()
        files = NameFiles(folder, 1)
        files.fill((f"{i * 7919 % number}.png" for i in range(number)), [0])
        assert sum(1 for _ in files.of(0)) == number
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(30_000) < 2 * peak(6_000)


def test_an_empty_file_has_no_names(tmp_path: Path) -> None:
    (tmp_path / "0.names").write_text("")
    assert list(sorted_once(tmp_path / "0.names")) == []
    (tmp_path / "1.names").write_text(json.dumps("a") + "\n")
    assert list(sorted_once(tmp_path / "1.names")) == ["a"]
