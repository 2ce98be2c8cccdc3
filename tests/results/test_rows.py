"""Rows survive whatever ends the process, and nothing replaces them unasked."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.prediction import Prediction
from maskrcnn.results.row import RunSettings, read_rows
from maskrcnn.results.rows import ResultRows
from maskrcnn.structures import Categories

SETTINGS = RunSettings(model="ab12", score_threshold=0.5, max_detections=None, precision="float32", proposals=None)
NAMES = ["a.png", "b.png", "c.png"]
TIME = 1_700_000_000_000_000_000


def prediction(count: int) -> Prediction:
    """So many objects in an image of 8 x 10 pixels."""
    return Prediction(
        boxes=np.array([[1, 2, 5, 6]] * count, np.float32).reshape(-1, 4),
        scores=np.full(count, 0.75, np.float32),
        labels=np.zeros(count, np.int64),
        image_size=(8, 10),
        categories=Categories((7,), ("cell",)),
        source="a.png",
        mask_probs=np.ones((count, 28, 28), np.float32),
    )


def write(name: str, content: str) -> None:
    """A picture, as far as rows look at it, always with one time stamp."""
    Path(name).write_text(content)
    os.utime(name, ns=(TIME, TIME))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows of two images, the second without objects, and of one that could not be read."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        write(name, name)
    rows = ResultRows(tmp_path / "rows.jsonl", SETTINGS)
    rows.append(rows.found("a.png", prediction(2), 0.25))
    rows.append(rows.found("b.png", prediction(0), 0.5))
    failures = [("c.png", "broken")]
    rows.append_failures(failures)
    rows.close()
    assert failures == []
    return tmp_path / "rows.jsonl"


def opened(path: Path, settings: RunSettings = SETTINGS, *, resume: bool = True, overwrite: bool = False) -> ResultRows:
    rows = ResultRows(path, settings)
    rows.look(NAMES, resume=resume, overwrite=overwrite)
    return rows


def coco(rows: ResultRows, path: Path) -> list[dict[str, object]]:
    rows.write_coco(path.with_name("coco.json"), NAMES)
    return json.loads(path.with_name("coco.json").read_text())


def test_a_row_says_everything_of_its_image(path: Path) -> None:
    first, second, third = (row for _, _, row in read_rows(path))
    expected = {k: v for k, v in prediction(1).to_coco()[0].items() if k != "image_id"}
    settings = {"model": "ab12", "score_threshold": 0.5, "max_detections": None, "precision": "float32"}
    size = {"height": 8, "width": 10}
    content = {"checksum": zlib.crc32(b"a.png"), "size": 5, "time": TIME}
    assert first == {
        "file_name": "a.png", "content": content, **size, "objects": [expected] * 2, "error": None, "seconds": 0.25,
        **settings, "proposals": None, "tiles": "auto", "folder": ".",
    }  # fmt: skip
    assert second["file_name"] == "b.png" and second["objects"] == [] and (second["height"], second["width"]) == (8, 10)
    assert third["error"] == "broken" and third["objects"] == [] and third["model"] == "ab12"
    assert third["content"] is None


def test_finished_images_are_done_and_broken_ones_are_not(path: Path) -> None:
    rows = opened(path)
    assert [rows.is_done(name) for name in NAMES] == [True, True, False] and rows.any_done
    assert rows.is_done(str(path.with_name("a.png"))) and rows.is_done("./x/../a.png"), "compared as files"


@pytest.mark.parametrize(("folder", "name"), [(".", "a.png"), ("sub", "../a.png"), ("..", "{}/a.png")])
def test_names_are_relative_to_where_the_command_was_given(
    path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    """From another folder the same image is known, and results name it as it is to be found from there."""
    (path.parent / "sub").mkdir()
    monkeypatch.chdir(folder)
    name = name.format(path.parent.name)
    rows = ResultRows(path, SETTINGS)
    rows.look([name], resume=True, overwrite=False)
    assert rows.is_done(name) and rows.is_done(os.path.abspath(name)) and rows.num_done == 2 and not rows.gone
    rows.write_coco(path.with_name("coco.json"), [name])
    found = json.loads(path.with_name("coco.json").read_text())
    assert [(result["image_id"], result["file_name"]) for result in found] == [(1, name)] * 2


def test_a_row_tells_its_place_across_drives(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows no relative path leads from one drive to another: the folder is absolute, and known from any other."""

    def refuse(*_: object) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", refuse)
    path.unlink()
    rows = ResultRows(path, SETTINGS)
    rows.append(rows.found("a.png", prediction(1), 0.1))
    rows.close()
    assert [row["folder"] for _, _, row in read_rows(path)] == [tmp_path.as_posix()]
    assert opened(path).is_done("a.png")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir("sub")
    rows = opened(path)
    assert rows.is_done("../a.png") and not rows.gone
    assert [row["file_name"] for _, row in rows.numbered(["../a.png"])] == [(tmp_path / "a.png").as_posix()]


def test_rows_and_images_can_be_moved(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together, and known from any folder; or the rows alone, where the names are still right from here."""
    both = tmp_path / "moved" / "both"
    both.mkdir(parents=True)
    for name in ("a.png", "b.png", "rows.jsonl"):
        (tmp_path / name).rename(both / name)
    rows = ResultRows(both / "rows.jsonl", SETTINGS)
    rows.look(["moved/both/a.png"], resume=True, overwrite=False)
    assert rows.is_done("moved/both/a.png") and rows.is_done("moved/both/b.png") and not rows.gone
    (both / "rows.jsonl").rename(tmp_path / "rows.jsonl")
    monkeypatch.chdir(both)
    rows = opened(tmp_path / "rows.jsonl")
    assert rows.is_done("a.png") and rows.num_done == 2 and not rows.gone


def test_other_images_that_changed_are_no_results_and_such_that_are_gone_are_known(path: Path) -> None:
    """Those not asked for are told by their size, and not read; numbers stay without the ones that are gone."""
    for name in ("d.png", "e.png", "f.png"):
        write(name, name)
    rows = opened(path)
    for name in ("s3://bucket/x.png", "d.png", "e.png", "f.png"):  # the first has no time and no file
        rows.append(rows.found(name, prediction(1), 0.1))
    rows.close()
    write("d.png", "others")
    Path("e.png").unlink()
    write("f.png", "F.png")
    os.utime("f.png", ns=(TIME, TIME + 1))
    rows = opened(path)
    assert (rows.num_done, rows.num_changed, rows.num_outdated) == (5, 0, 1)
    assert rows.gone == {os.path.realpath("e.png")}
    numbered = [(number, row["file_name"]) for number, row in rows.numbered(NAMES)]
    assert [name for _, name in numbered] == ["a.png", "b.png", "c.png", "s3://bucket/x.png", "e.png", "f.png"]
    kept = rows.without_gone()
    assert list(kept.numbered(NAMES)) == [pair for pair in rows.numbered(NAMES) if pair[1]["file_name"] != "e.png"]
    assert kept.num_done == 4 and rows.num_done == 5
    rows = ResultRows(path, SETTINGS)
    rows.look(["f.png"], resume=True, overwrite=False)
    assert not rows.is_done("f.png") and rows.num_changed == 1, "the checksum tells it where it is asked for"


def test_a_picture_that_has_changed_is_not_done(path: Path) -> None:
    """Other bytes under the old time stamp and of the old number are trusted; another time stamp is looked into."""
    write("b.png", "other bytes")
    rows = opened(path)
    assert [rows.is_done(name) for name in NAMES] == [True, False, False] and rows.num_changed == 1
    assert len(coco(rows, path)) == 2, "and its old results are none"
    write("b.png", "B.png")
    os.utime("b.png", ns=(TIME, TIME + 1))
    assert not opened(path).is_done("b.png"), "as many bytes, but others"
    write("b.png", "b.png")
    os.utime("b.png", ns=(TIME, TIME + 1))
    assert opened(path).is_done("b.png") and opened(path).num_changed == 0, "a new time stamp alone is no change"
    rows.append(rows.found("b.png", prediction(1), 0.5))
    rows.close()
    assert opened(path).is_done("b.png") and len(coco(opened(path), path)) == 3, "the newer row counts"
    Path("b.png").unlink()
    assert rows.found("b.png", prediction(1), 0.5)["content"] is None, "nothing to know it by"


@pytest.mark.parametrize("content", [None, 3, [], {"checksum": 1}, {"checksum": 1, "size": "5", "time": 2}])
def test_what_is_said_of_no_content_is_no_result(path: Path, content: object) -> None:
    first, *others = path.read_text().splitlines(keepends=True)
    path.write_text(json.dumps(json.loads(first) | {"content": content}) + "\n" + "".join(others))
    assert not opened(path).is_done("a.png") and opened(path).is_done("b.png")


@pytest.mark.parametrize("lost", range(1, 40))
def test_a_line_that_was_cut_off_is_dropped(path: Path, lost: int) -> None:
    """Wherever the process ended: the rows before stay, and the next one follows them."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    rows = opened(path)
    rows.append(rows.found("c.png", prediction(1), 0.1))
    rows.close()
    assert [row["file_name"] for _, _, row in read_rows(path)] == ["a.png", "b.png", "c.png"]
    assert path.read_bytes().startswith(b"".join(whole.splitlines(keepends=True)[:2]))


def test_coco_results_in_the_order_of_the_images(path: Path) -> None:
    """Those of c.png come last although its row is the newest; its number is its place among the images."""
    rows = opened(path)
    rows.append(rows.found("c.png", prediction(1), 0.1))
    rows.append(rows.found("old.png", prediction(1), 0.1))
    found = coco(rows, path)
    assert [(result["image_id"], result["file_name"]) for result in found] == [
        (1, "a.png"), (1, "a.png"), (3, "c.png"), (4, "old.png"),
    ]  # fmt: skip
    expected = prediction(1).to_coco(1)[0] | {"file_name": "a.png"}
    assert found[0] == expected and list(found[0]) == list(expected)
    assert rows.write_coco(path.with_name("coco.json"), NAMES) == 4


def test_nothing_found_is_an_empty_list(tmp_path: Path) -> None:
    assert coco(ResultRows(tmp_path / "rows.jsonl", SETTINGS), tmp_path / "rows.jsonl") == []


def test_the_same_run_begins_anew(path: Path) -> None:
    rows = opened(path, resume=False)
    assert not rows.any_done and len(list(read_rows(path))) == 3, "nothing is lost before there is something new"
    rows.append(rows.found("b.png", prediction(1), 0.1))
    rows.close()
    assert [row["file_name"] for _, _, row in read_rows(path)] == ["b.png"]


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    "other", [{"model": "cd34"}, {"score_threshold": 0.3}, {"max_detections": 10}, {"precision": "bfloat16"}], ids=str
)
def test_rows_of_another_run_are_not_touched(path: Path, other: dict[str, object], resume: bool) -> None:
    before = path.read_bytes()
    settings = replace(SETTINGS, **other)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"another run \({next(iter(other))} .*, now .*--output, .*--overwrite"):
        opened(path, settings, resume=resume)
    assert path.read_bytes() == before
    rows = opened(path, settings, resume=False, overwrite=True)
    rows.append(rows.found("a.png", prediction(0), 0.1))
    assert len(list(read_rows(path))) == 1


def test_rows_of_other_images_are_kept_or_refused(path: Path) -> None:
    rows = ResultRows(path, SETTINGS)
    with pytest.raises(UserError, match=r"other images, such as b\.png; .*--output.*--resume.*--overwrite"):
        rows.look(["a.png"], resume=False, overwrite=False)
    rows.look(["d.png"], resume=True, overwrite=False)
    assert not rows.is_done("d.png") and rows.is_done("b.png")


@pytest.mark.parametrize("line", [b"no json", b"[1]", b'{"file_name": 3, "objects": []}', b"[" * 100_000, b"\xff\0"])
def test_a_line_that_is_no_row_is_named(path: Path, line: bytes) -> None:
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(UserError, match=r"rows\.jsonl, line 4: expected a row") as caught:
        opened(path)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rows = ResultRows(tmp_path / "file" / "rows.jsonl", SETTINGS)
    with pytest.raises(UserError, match=r"rows\.jsonl: expected to write this file, but the system says"):
        rows.append(rows.found("a.png", prediction(1), 0.1))


def test_an_image_in_several_rows_counts_once_its_last_one_is_there(path: Path) -> None:
    """Half of it is as nothing: what comes next, be it another image, a failure or the end, takes its place."""
    write("d.png", "d.png")
    names = [*NAMES, "d.png"]
    before = path.read_bytes()
    rows = opened(path)
    for interrupting in (rows.found("e.png", prediction(1), 0.1), None):
        rows.append(rows.found("d.png", prediction(2), 0.1, more=True))
        assert not rows.is_done("d.png") and path.read_bytes() != before
        if interrupting is None:
            rows.append_failures([("d.png", "broken off")])
        else:
            rows.append(interrupting)
    rows.close()
    ends = [(row["file_name"], row["error"], "more" in row) for _, _, row in read_rows(path)][3:]
    assert ends == [("e.png", None, False), ("d.png", "broken off", False)]
    assert len(path.read_text().splitlines()) == 5

    rows = opened(path)
    rows.append(rows.found("d.png", prediction(2), 0.1, more=True))
    rows.append(rows.found("d.png", prediction(0), 0.2, more=True))
    rows.append(rows.found("d.png", prediction(1), 0.3))
    rows.append(rows.found("f.png", prediction(1), 0.3, more=True))
    rows.close()
    assert path.read_bytes().count(b"f.png") == 0, "the end of the work drops it"
    for finished in (rows, opened(path)):  # as it was written, and as it is read again
        assert finished.is_done("d.png") and not finished.is_done("f.png")
        of_image = [row for number, row in finished.numbered(names) if number == 4]
        assert [len(row["objects"]) for row in of_image] == [2, 0, 1]
        assert finished.write_coco(path.with_name("coco.json"), names) == 2 + 0 + 3 + 1
    ids = [result["image_id"] for result in json.loads(path.with_name("coco.json").read_text())]
    assert ids == [1, 1, 4, 4, 4, 5]


def test_a_killed_process_leaves_half_an_image_that_is_dropped(path: Path) -> None:
    write("d.png", "d.png")
    rows = opened(path)
    rows.append(rows.found("d.png", prediction(2), 0.1, more=True))  # and no close
    again = opened(path)
    assert not again.is_done("d.png")
    again.append(again.found("d.png", prediction(1), 0.1))
    assert [len(row["objects"]) for _, _, row in read_rows(path)] == [2, 0, 0, 1]
