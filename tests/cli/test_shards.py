"""`maskrcnn predict --shards`: the same rows however they are divided, and whatever ended the process before."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from maskrcnn.cli import shards as cli_shards
from maskrcnn.files import sole_writer
from maskrcnn.model import Model
from maskrcnn.prediction import Prediction
from maskrcnn.scale import rows as scale_rows
from maskrcnn.scale import scratch
from maskrcnn.scale.rows import RowMaker
from maskrcnn.scale.shard_file import ShardFile, finished_rows
from maskrcnn.scale.work import ShardWork

Run = Callable[..., tuple[int, str, str]]
Command = Callable[..., tuple[str, ...]]


def picture(path: Path, seed: int, height: int = 24) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, 32, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Eight images in two folders, one of them broken."""
    for number in range(8):
        picture(tmp_path / "few" / ("deep" if number % 2 else "") / f"{number}.png", number)
    (tmp_path / "few/deep/3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return tmp_path / "few"


@pytest.fixture
def command(few: Path, model_file: Path, tmp_path: Path) -> Command:
    """The command that predicts the few images into a folder of this name."""

    def arguments(name: str, *more: str | Path, source: Path = few) -> tuple[str, ...]:
        options = ("--score-threshold", "0.01", "--max-detections", "2", "--model", model_file)
        return tuple(map(str, ("predict", source, "--output", tmp_path / name, *options, *more)))

    return arguments


def sorted_rows(output: Path, suffix: str = "jsonl") -> list[str]:
    """All rows of all shards, without their seconds."""
    files = (output / "shards").glob(f"*-of-*.{suffix}")
    rows = [{**row, "seconds": 0} for path in files for row in finished_rows(path)]
    return [json.dumps(row) for row in sorted(rows, key=lambda row: row["file_name"])]


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the network a box whose place, score and mask come from the pixels."""

    def predict_pass(model: Model, images: Sequence[Tensor], sources: Sequence[Any], *_: object) -> list[Prediction]:
        return [
            boxed(model, image.numpy().astype(np.float32), source)
            for image, source in zip(images, sources, strict=True)
        ]

    def boxed(model: Model, pixels: np.ndarray, source: Any) -> Prediction:
        _, height, width = pixels.shape
        share = pixels.mean() / 256
        box = np.array([[0, 0, width * share, height * share]], np.float32)
        masks = pixels[:1, :8, :8] / 256
        facts = {"image_size": (height, width), "categories": model.categories, "source": source}
        labels = np.array([int(pixels.sum()) % 2])
        return Prediction(boxes=box, scores=np.array([share], np.float32), labels=labels, mask_probs=masks, **facts)

    monkeypatch.setattr(Model, "predict_pass", predict_pass)


def test_one_seven_and_sixty_four_shards_have_the_same_rows(
    run: Run, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    images = tmp_path / "many"
    for number in range(100):
        picture(images / ("", "deep", "deep/er")[number % 3] / f"{number:03d}.{'jpg' if number % 7 else 'png'}", number)
    broken = images / "deep/er/050.jpg"
    broken.write_bytes(broken.read_bytes()[:100])
    for number in (1, 7, 64):
        code, out, err = run(*command(f"{number}", "--shards", f"{number}", source=images))
        assert code == 1 and "99 objects in 99 images" in out
        assert f"skipped: {broken}: " in err and "1 of 100 images skipped: their rows say why" in err
        assert len(list((tmp_path / f"{number}/shards").glob("*.jsonl"))) == number
    one, seven, many = (sorted_rows(tmp_path / number) for number in ("1", "7", "64"))
    assert len({json.loads(row)["file_name"] for row in one}) == 100 and one == seven == many
    assert len({json.dumps(json.loads(row)["objects"]) for row in one}) == 100, "each image has results of its own"
    failed = [row for row in map(json.loads, one) if row["error"] is not None]
    assert [(row["file_name"], row["objects"]) for row in failed] == [(broken.as_posix(), [])]


def test_rows_are_those_of_predict_and_forms_can_be_made_of_them(
    run: Run, command: Command, few: Path, tmp_path: Path
) -> None:
    assert run(*command("plain", "--no-overlays", "--save", "csv"))[0] == 0
    assert run(*command("sharded", "--shards", "3"))[0] == 1, "that folder has others below"
    rows = {row["file_name"]: row for row in map(json.loads, sorted_rows(tmp_path / "sharded"))}
    for line in (tmp_path / "plain/predictions.jsonl").open():
        row = json.loads(line)
        assert row["objects"]
        assert json.dumps({**row, "seconds": 0}) == json.dumps(rows[row["file_name"]])
    code, _, err = run(*command("sharded", "--shards", "3", "--save", "csv"))
    assert code == 2 and f"cat {tmp_path}/sharded/shards/*.jsonl > NEW/predictions.jsonl" in err
    (tmp_path / "joined").mkdir()
    own = [json.dumps(row) for name, row in rows.items() if "deep" not in name]
    (tmp_path / "joined/predictions.jsonl").write_text("\n".join(own) + "\n")
    code, out, _ = run(*command("joined", "--resume", "--no-overlays", "--save", "csv", source=few / "0.png"))
    assert code == 0 and "1 of 1 images are done already" in out
    for name in ("predictions.json", "csv/objects.csv"):
        assert (tmp_path / "joined" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_several_sources_and_forms(
    run: Run, command: Command, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list with addresses, and Parquet, give the rows of the files."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra `parquet`)")
    pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `cloud`)")
    quick(monkeypatch)
    run(*command("files", "--shards", "2"))
    (tmp_path / "all.txt").write_text("".join(f"file://{path}\n" for path in few.rglob("*.png")))
    code, out, _ = run(*command("list", "--shards", "2", "--rows", "parquet", source=tmp_path / "all.txt"))
    assert code == 1 and "7 objects in 7 images" in out
    rows = [json.loads(row.replace("file://", "")) for row in sorted_rows(tmp_path / "list", "parquet")]
    files = [json.loads(row) for row in sorted_rows(tmp_path / "files")]
    for row in files:
        row["content"] and row["content"].update(time=None)  # an object has no time
    assert rows == files


# --- in parts, interrupted, and run again -------------------------------------------------------------------------

KILLED = """
import os, signal
from maskrcnn.results.row import RowFile
written, append = [], RowFile.append
def killing(file, row):
    append(file, row)
    written.append(row)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
RowFile.append = killing
from maskrcnn.cli.main import main
import sys
main(sys.argv[1:])
"""


def test_a_process_that_was_killed_goes_on_where_it_was(run: Run, command: Command, tmp_path: Path) -> None:
    arguments = command("out", "--shards", "2")
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    output = tmp_path / "out"
    so_far = list((output / "shards").glob("*.partial"))
    assert len(so_far) == 1 and len(list(output.glob(f"{scratch.PREFIX}*"))) == 1, "left by who was killed"
    code, out, _ = run(*arguments)
    assert code == 1 and "8 new rows" not in out and "(5 new rows)" in out
    assert not list((output / "shards").glob("*.partial")) and not list(output.glob(f"{scratch.PREFIX}*"))
    run(*command("whole", "--shards", "1"))
    assert sorted_rows(output) == sorted_rows(tmp_path / "whole")


def test_shards_one_by_one(run: Run, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    run(*command("whole", "--shards", "3"))
    for shard in ("2/3", "0/3", "1/3"):
        run(*command("out", "--shard", shard))
        assert (tmp_path / f"out/shards/0000{shard[0]}-of-00003.jsonl").exists()
    assert sorted_rows(tmp_path / "out") == sorted_rows(tmp_path / "whole")
    monkeypatch.setattr(RowMaker, "__init__", lambda *_: pytest.fail("all is done: nobody needs a model"))
    _, out, _ = run(*command("out", "--shards", "3", "--shard", "1/3"))
    assert "shard 1/3: " in out and "(0 new rows)" in out


def test_processes_share_the_shards_of_one_output(
    run: Run, command: Command, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that finds a shard taken does the others first, and then waits until it is done, or does it."""
    quick(monkeypatch)
    run(*command("whole", "--shards", "4"))
    order, do = [], ShardWork.do
    path = tmp_path / "out/shards/.locks/00001-of-00004.lock"
    path.parent.mkdir(parents=True)
    other = path.open("w")
    fcntl.flock(other, fcntl.LOCK_EX)  # as another process would

    def noted(work: ShardWork, shard: int, *arguments: Any) -> Any:
        order.append(shard)
        if len(order) == 5:  # all others are done: the one who was at it gives up
            threading.Timer(0.2, other.close).start()
        return do(work, shard, *arguments)

    monkeypatch.setattr(ShardWork, "do", noted)
    code, out, err = run(*command("out", "--shards", "4"))
    assert code == 1, (out, err)
    assert order == [0, 1, 2, 3, 1] and sorted_rows(tmp_path / "out") == sorted_rows(tmp_path / "whole")


def test_images_that_come_later_are_done_and_broken_ones_tried_again(
    run: Run, command: Command, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    run(*command("out", "--shards", "2"))
    picture(few / "new.png", 50)
    picture(few / "deep/3.png", 51)
    code, out, _ = run(*command("out", "--shards", "2"))
    assert code == 1 and "8 objects in 8 images" in out and "(1 new row)" in out, "a finished row stays as it is"
    code, out, err = run(*command("out", "--shards", "2", "--resume"))
    assert code == 0 and err == "" and "9 objects in 9 images" in out and "(1 new row)" in out
    run(*command("whole", "--shards", "1"))
    assert sorted_rows(tmp_path / "out") == sorted_rows(tmp_path / "whole")


@pytest.mark.parametrize("rows", ["jsonl", "parquet"])
def test_images_that_changed_are_done_anew(
    run: Run, command: Command, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    """In shards that are whole and in one that was interrupted; a list may name a file that is gone."""
    if rows == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra `parquet`)")
    quick(monkeypatch)
    (tmp_path / "all.txt").write_text("".join(f"{path}\n" for path in sorted(few.rglob("*.png"))))
    arguments = command("out", "--shards", "2", "--rows", rows, source=tmp_path / "all.txt")
    run(*arguments)
    before = sorted_rows(tmp_path / "out", rows)
    picture(few / "0.png", 50, height=30)
    picture(few / "deep/5.png", 51, height=30)
    (few / "2.png").unlink()
    _, out, _ = run(*arguments)
    assert "7 objects in 7 images" in out and "(2 new rows, 2 images changed since)" in out
    after = sorted_rows(tmp_path / "out", rows)
    different = [json.loads(new)["file_name"] for old, new in zip(before, after, strict=True) if old != new]
    assert different == [str(few / "0.png"), str(few / "deep/5.png")]
    _, out, _ = run(*arguments, "--log", "json")
    assert json.loads(out.splitlines()[-1])["changed"] == 0


def test_rows_so_far_of_an_image_that_changed_are_done_anew(
    run: Run, command: Command, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(ShardFile, "finish", lambda file: pytest.fail("not now"))
        with pytest.raises(pytest.fail.Exception):
            run(*command("out", "--shards", "1"))
    picture(few / "6.png", 50, height=30)
    _, out, _ = run(*command("out", "--shards", "1"))
    assert "new row" in out and "1 image changed since)" in out
    run(*command("whole", "--shards", "1"))
    assert sorted_rows(tmp_path / "out") == sorted_rows(tmp_path / "whole")


def test_results_of_another_run_are_never_mixed_with(
    run: Run, command: Command, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    run(*command("out", "--shards", "2"))
    before = sorted_rows(tmp_path / "out")
    for options, message in (
        (("--shards", "3"), "holds results of another run, now 3 shards as jsonl"),
        (("--shards", "2", "--score-threshold", "0.2"), "holds results of another run (score_threshold 0.01, now 0.2)"),
        (("--no-overlays",), "shards: results of a run with --shards"),
        (("--shard", "1/3", "--overwrite"), "holds results of another run, now 3 shards"),
    ):
        code, _, err = run(*command("out", *options))
        assert code == 2 and message in err and err.count("\n") == 1
        assert sorted_rows(tmp_path / "out") == before
    assert run(*command("out", "--shards", "3", "--overwrite", "--score-threshold", "0.2"))[0] == 1
    assert len(sorted_rows(tmp_path / "out")) == 8 and len(list((tmp_path / "out/shards").glob("*.jsonl"))) == 3
    run(*command("plain", "--no-overlays"))
    code, _, err = run(*command("plain", "--shards", "2"))
    assert code == 2 and "predictions.jsonl: holds results of another run" in err
    with sole_writer(tmp_path / "busy", "predicting into"):
        monkeypatch.setattr(scratch, "PATIENCE", 0)
        code, _, err = run(*command("busy", "--shards", "2"))
        assert code == 2 and "another process is predicting into it" in err


# --- what is asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shard", "3/3"), "expected I/N with I from 0 to N - 1"),
        (("--shard", "1"), "expected I/N"),
        (("--shards", "0"), "--shards: expected a number from 1"),
        (("--shards", "2", "--shard", "1/3"), "--shard 1/3: of another number than --shards 2"),
        (("--shard", "1/3", "--engine", "ray"), "an engine hands out all shards"),
        (("--rows", "parquet"), "--rows: only with --shards N"),
        (("--shards", "2", "--cpus-per-actor", "2"), "--cpus-per-actor: only with --engine ray"),
        (("--actors", "2"), "--actors: only with --engine ray"),
        (("--shards", "2", "--draw", "boxes"), "not with shards, which have no pictures"),
        (("--shards", "2", "--proposals", "some.json"), "--proposals: not with shards"),
        (("--shards", "2", "--device", "gpu"), "device"),
        (("--shards", "2", "--model", "nuclie"), "did you mean"),
    ],
)
def test_what_makes_no_sense(run: Run, command: Command, options: tuple[str, ...], message: str) -> None:
    code, _, err = run(*command("out", *options))
    assert code == 2 and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "module", "message"),
    [
        (("--shards", "2", "--rows", "parquet"), "pyarrow", "pip install pyarrow"),
        (("--engine", "ray"), "ray", "pip install ray"),
    ],
)
def test_what_is_missing_is_named_before_the_work(
    run: Run, command: Command, options: tuple[str, ...], module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = run(*command("out", *options))
    assert code == 2 and message in err and err.count("\n") == 1


def test_broken_images_alone_are_an_error(run: Run, command: Command, few: Path) -> None:
    for path in few.rglob("*.png"):
        path.write_bytes(b"nothing")
    code, _, err = run(*command("out", "--shards", "2"))
    assert code == 2 and "none of the 8 images could be read; --resume tries them again" in err


def test_what_is_said(run: Run, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(cli_shards, "QUIET_SECONDS", -1.0)
    _, out, _ = run(*command("out", "--shards", "1"))
    assert out.splitlines()[:3] == ["8 images in 1 shard", "shard 0/1: 1 image so far", "shard 0/1: 2 images so far"]
    assert "shard 0/1: 7 objects, 7 images, 1 skipped, 8 new" in out
    code, out, err = run(*command("quiet", "--shards", "1", "--quiet"))
    assert code == 1 and out == "" and err.count("\n") == 2
    _, out, _ = run(*command("json", "--shards", "2", "--log", "json"))
    events = [json.loads(line) for line in out.splitlines()]
    told = [event for event in events if event["event"] == "shard"]
    assert [event["shard"] for event in told] == [0, 1] and sum(event["images"] for event in told) == 7
    assert (events[-1]["event"], events[-1]["objects"], events[-1]["skipped"]) == ("done", 7, 1)


def test_another_model_on_another_machine_is_seen(
    run: Run, command: Command, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = iter("ef")  # where the command was given, and where the work is done
    monkeypatch.setattr(scale_rows, "model_hash", lambda name: 64 * next(hashes))
    code, _, err = run(*command("out", "--shards", "1"))
    assert code == 2 and "this machine has ffffffffffff...; give all machines the same file" in err


def test_tiles_and_batches(run: Run, command: Command, few: Path, tmp_path: Path) -> None:
    """As `predict` does them."""
    big = few / "a.png"
    Image.fromarray(np.random.default_rng(9).integers(0, 255, (200, 300, 3), dtype=np.uint8)).save(big)
    options = ("--tile", "128", "--overlap", "32", "--batch-size", "3")
    assert run(*command("plain", *options, "--no-overlays", source=big))[0] == 0
    assert run(*command("shards", *options, "--shards", "2", source=big))[0] == 0
    plain = [json.loads(line) for line in (tmp_path / "plain/predictions.jsonl").open()]
    assert [json.dumps({**row, "seconds": 0}) for row in plain] == sorted_rows(tmp_path / "shards")
    assert len(plain) > 1 and plain[0]["more"] and any(row["objects"] for row in plain)
    code, out, _ = run(*command("shards", *options, "--shards", "2", source=big))
    assert code == 0 and f"{sum(len(row['objects']) for row in plain)} objects in 1 image," in out


class Row(dict[str, Any]):
    """A row that can be seen to be alive."""

    __slots__ = ("__weakref__",)


def test_no_row_and_no_picture_is_kept(
    run: Run, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many images there are."""
    quick(monkeypatch)
    alive_rows, alive_pictures, alive = weakref.WeakValueDictionary(), weakref.WeakValueDictionary(), []
    append, found_row, read_ahead = ShardFile.append, scale_rows.found_row, scale_rows.read_ahead

    def noted_row(*arguments: Any, **more: Any) -> Row:
        row = Row(found_row(*arguments, **more))
        alive_rows[id(row)] = row
        return row

    def noted_pictures(*arguments: Any) -> Iterator[Any]:
        for found in read_ahead(*arguments):
            alive_pictures[id(found)] = found
            yield found

    def counting(file: ShardFile, row: dict[str, Any]) -> None:
        append(file, row)
        alive.append((len(alive_rows), len(alive_pictures)))

    monkeypatch.setattr(scale_rows, "found_row", noted_row)
    monkeypatch.setattr(scale_rows, "read_ahead", noted_pictures)
    monkeypatch.setattr(ShardFile, "append", counting)
    for number in range(40):
        picture(tmp_path / "many" / f"{number}.png", number)
    assert run(*command("out", "--shards", "1", source=tmp_path / "many"))[0] == 0
    assert len(alive) == 40 and max(count for counts in alive for count in counts) <= 3
