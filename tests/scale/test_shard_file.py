"""The file of a shard: whole or not there, continued where it was, and what has changed since."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.data.content import content_of
from maskrcnn.errors import UserError
from maskrcnn.results.row import RunSettings, failed_row
from maskrcnn.scale.shard_file import ShardFile, Tally, finished_rows, joined

SETTINGS = RunSettings("m" * 64, 0.5, None, "float32", None)


def row(name: str, objects: int = 1, error: str | None = None) -> dict[str, Any]:
    found = {"category_id": 3, "category_name": "round", "bbox": [0.1, 2.0, 3.5, 4.0], "score": 0.1 + 0.2}
    mask = {"segmentation": {"size": [4, 5], "counts": "51O1"}, "keypoints": [1.0, 2.5, 0.25]}
    failed = failed_row(name, error or "", SETTINGS)
    if error is not None:
        return failed
    content = {"checksum": 2**32 - 1, "size": 7, "time": 1_700_000_000_123_456_789}
    facts = {"content": content, "height": 4, "width": 5, "error": None, "seconds": 0.25}
    return {**failed, **facts, "objects": [{**found, **(mask if number % 2 else {})} for number in range(objects)]}


@pytest.fixture(params=["jsonl", "parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra `parquet`)")
    return tmp_path / f"00000-of-00001.{request.param}"


def complete(path: Path, names: str, stop_after: int | None = None, retry: bool = False) -> tuple[str, Tally]:
    """Do a shard whose images are letters; those that were done anew, and what it comes to."""
    file, tally, new = ShardFile(path, SETTINGS), Tally(), ""
    for name, kept in file.begin(names, tally, retry=retry):
        if stop_after is not None and len(new) == stop_after:
            file.pause()
            return new, tally
        new += name if kept is None else ""
        file.append(kept or row(name, objects=2))
        tally.add(kept or row(name, objects=2), new=kept is None)
    file.pause()
    file.finish()
    return new, tally


def rows_of(path: Path) -> list[dict[str, Any]]:
    return list(finished_rows(path))


def test_a_shard_is_there_as_a_whole_or_not_at_all(path: Path) -> None:
    assert complete(path, "abc", stop_after=2)[0] == "ab" and not path.exists()
    new, tally = complete(path, "abc")
    assert new == "c" and (tally.images, tally.objects, tally.new, tally.failed) == (3, 6, 1, 0)
    assert [json.dumps(found) for found in rows_of(path)] == [json.dumps(row(name, 2)) for name in "abc"]
    assert [other.name for other in path.parent.iterdir()] == [path.name], "nothing is left beside it"
    assert ShardFile(path, SETTINGS).whole("abc", retry=False) == Tally(3, 0, 6, [], 0)


def test_a_row_that_was_cut_off_is_written_again(path: Path) -> None:
    complete(path, "abc", stop_after=2)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(partial.read_bytes()[:-5])
    assert complete(path, "abc")[0] == "bc" and len(rows_of(path)) == 3


def test_without_images_a_shard_is_empty_and_whole(path: Path) -> None:
    assert ShardFile(path, SETTINGS).whole("", retry=False) is None
    assert complete(path, "") == ("", Tally()) and rows_of(path) == []
    assert ShardFile(path, SETTINGS).whole("", retry=False) == Tally()


@pytest.mark.parametrize(
    ("now", "new"), [("abcde", "ae"), ("bd", ""), ("bdx", "x"), ("", ""), ("xyz", "xyz"), ("bccd", "cc")]
)
def test_images_that_come_and_go(path: Path, now: str, new: str) -> None:
    complete(path, "bcd" if now == "abcde" else "bd" if now == "bccd" else "bcd")
    file = ShardFile(path, SETTINGS)
    assert file.whole(now, retry=False) is None
    assert complete(path, now)[0] == new
    assert [found["file_name"] for found in rows_of(path)] == list(now)


def test_images_that_come_while_a_shard_is_half_done(path: Path) -> None:
    complete(path, "bcd", stop_after=2)
    assert complete(path, "abcd")[0] == "abcd", "rows are in the order of names, so all behind the new one is done"
    complete(path, "abcdefg", stop_after=1)
    assert complete(path, "abcdefgh")[0] == "fgh", "rows from the whole file and those done since"
    assert [found["file_name"] for found in rows_of(path)] == list("abcdefgh")


def test_images_that_go_while_a_shard_is_half_done(path: Path) -> None:
    """Their rows so far go too, also if nothing else is to be written."""
    complete(path, "abcd", stop_after=3)
    assert complete(path, "ab")[0] == "" and [found["file_name"] for found in rows_of(path)] == ["a", "b"]
    path.unlink()
    complete(path, "ab", stop_after=1)
    assert complete(path, "")[0] == "" and rows_of(path) == []


def test_an_image_in_tiles_has_several_rows(path: Path) -> None:
    """They are kept and counted together, and begun anew where the last of them is missing."""
    parts = [{**row("b", objects=3), "more": True}, {**row("b", objects=2), "more": True}, row("b", objects=0)]
    file, tally = ShardFile(path, SETTINGS), Tally()
    assert [name for name, _ in file.begin("abc", tally, retry=False)] == ["a", "b", "c"]
    for part in (row("a"), *parts[:2]):
        file.append(part)
        tally.add(part)
    assert (tally.images, tally.objects) == (1, 1)
    file.pause()
    file, tally = ShardFile(path, SETTINGS), Tally()
    assert [name for name, _ in file.begin("abc", tally, retry=False)] == ["b", "c"]
    for part in (*parts, row("c")):
        file.append(part)
        tally.add(part, new=True)
    file.finish()
    expected = [row("a"), *parts, row("c")]
    assert [json.dumps(found) for found in rows_of(path)] == [json.dumps(found) for found in expected]
    assert (tally.images, tally.objects, tally.new) == (3, 7, 2)
    assert file.whole("abc", retry=False) == Tally(3, 0, 7)
    file = ShardFile(path, SETTINGS)
    kept = [found for _, found in file.begin("bc", Tally(), retry=False)]
    assert [json.dumps(found) for found in kept] == [json.dumps(found) for found in expected[1:]]


def test_objects_of_an_image_that_breaks_half_way_do_not_count() -> None:
    tally = Tally()
    tally.add({**row("a", objects=3), "more": True})
    tally.add(row("a", error="a: tile 7 cannot be decoded"))
    tally.add(row("b", objects=2))
    assert tally == Tally(2, 1, 2, ["a: tile 7 cannot be decoded"])


def test_images_that_could_not_be_read_are_tried_again_only_when_asked(path: Path) -> None:
    file = ShardFile(path, SETTINGS)
    for name, _ in file.begin("abc", Tally(), retry=False):
        file.append(row(name, error="b: broken" if name == "b" else None))
    file.finish()
    assert file.whole("abc", retry=False) == Tally(3, 1, 2, ["b: broken"], 0)
    assert file.whole("abc", retry=True) is None
    assert complete(path, "abc", retry=True)[0] == "b" and len(rows_of(path)) == 3


def test_images_that_changed_are_done_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their size alone: no image is read again for a new time stamp."""
    monkeypatch.chdir(path.parent)
    names = ["a", "b", "c", "gone", "s3://bucket/d"]
    for name in names[:3]:
        Path(name).write_text(name)

    def do() -> tuple[list[str], Tally]:
        file, tally, new = ShardFile(path, SETTINGS), Tally(), []
        for name, kept in file.begin(names, tally, retry=False):
            held = asdict(content_of(name)) if Path(name).exists() else {"checksum": 1, "size": 1, "time": None}
            if name == "gone":
                held["time"] = 1
            new += [name] if kept is None else []
            file.append(kept or row(name) | {"content": held})
        file.finish()
        return new, tally

    assert do()[0] == names
    Path("a").write_text("A")
    os.utime("a", ns=(1, 1))
    assert ShardFile(path, SETTINGS).whole(names, retry=False) is not None, "as long as before"
    Path("b").write_text("B, replaced")
    assert ShardFile(path, SETTINGS).whole(names, retry=False) is None
    new, tally = do()
    assert new == ["b"] and tally.changed == 1
    assert ShardFile(path, SETTINGS).whole(names, retry=False) is not None


@pytest.mark.parametrize("absent", [["limited"], ["more", "limited"], ["seconds"]])
def test_parquet_of_a_version_without_a_flag(tmp_path: Path, absent: list[str]) -> None:
    """It has fewer columns, and the same rows; without another column it is something else."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (the extra `parquet`)")
    path = tmp_path / "00000-of-00001.parquet"
    complete(path, "abc")
    before = rows_of(path)
    parquet.write_table(parquet.read_table(path).drop(absent), path)
    if absent == ["seconds"]:
        with pytest.raises(UserError, match="expected rows of results as Parquet"):
            rows_of(path)
    else:
        assert rows_of(path) == before and ShardFile(path, SETTINGS).whole("abc", retry=False) == Tally(3, 0, 6)


@pytest.mark.parametrize("stop_after", [1, None])
def test_rows_of_other_settings_are_an_error(path: Path, stop_after: int | None) -> None:
    complete(path, "ab", stop_after=stop_after)
    file = ShardFile(path, RunSettings("n" * 64, 0.5, None, "float32", None))
    with pytest.raises(UserError, match=r"holds results of another run \(model 'm+"):
        file.whole("ab", retry=False)
        list(file.begin("ab", Tally(), retry=False))


def test_something_else_in_its_place_is_an_error(path: Path) -> None:
    path.write_text("not rows\n")
    with pytest.raises(UserError, match=r"expected (a row|rows) of results as .*--overwrite"):
        ShardFile(path, SETTINGS).whole("ab", retry=False)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = (ShardFile(tmp_path / "00000-of-00001.jsonl", SETTINGS) for _ in range(2))
    with first.alone() as alone:
        assert alone
        with second.alone() as other:
            assert not other
    with second.alone() as other:
        assert other


def test_two_sorted_streams_are_joined() -> None:
    rows = iter([{"file_name": name} for name in "acdf"])
    assert [(name, kept and kept["file_name"]) for name, kept in joined("bcef", rows)] == [
        ("b", None),
        ("c", "c"),
        ("e", None),
        ("f", "f"),
    ]
