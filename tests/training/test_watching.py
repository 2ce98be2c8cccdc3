"""What one sees of a run while it trains: its page, the same images at each evaluation, callbacks, advice."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.config import Config
from maskrcnn.training import run_page, watched
from maskrcnn.training.advice import advice
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.loop import train
from maskrcnn.training.run_page import POINTS, RunPage, render_page
from maskrcnn.training.watched import read_index


def step(number: int, total: float | None = 0.5, **values: Any) -> dict[str, Any]:
    entry = {"kind": "step", "step": number, "losses": {"mask": 0.2, "total": total}, "learning_rate": 0.01}
    return entry | {"images_per_second": 2.5, "seconds_left": 61, "memory_mib": 300} | values


def evaluation(number: int, score: float | None) -> dict[str, Any]:
    metrics = {"mask": {"AP": score, "classes": [1] * 1000}, "semantic": {"mIoU": 0.5}, "images": 3}
    return {"kind": "evaluation", "step": number, "score": score, "metrics": metrics}


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., str]:
    def make(*entries: dict[str, Any], status: str = "", name: str = "run") -> str:
        page = RunPage(RunFolder(tmp_path / name), 100)
        for entry in entries:
            page.take(entry)
        page.write(status)
        return page.folder.page.read_text()

    return make


def test_the_page_loads_itself_anew_until_the_run_ends(page: Callable[..., str]) -> None:
    html = page(step(1), step(20), evaluation(20, 0.25))
    assert 'http-equiv="refresh"' in html and "step 20 of 100, 0:01:01 left, 2.5 images/s, 300 MiB" in html
    assert "mask AP 0.25" in html and "mIoU 0.5" in html and "best score, step 20" in html
    assert 'http-equiv="refresh"' not in page(step(1), status="finished")
    assert "<script" not in html and not re.search(r"(src|href)=", html)


def test_the_page_bears_anything(page: Callable[..., str]) -> None:
    assert "nothing is logged yet" in page()
    assert "no finite loss" in page(step(1), step(2, None))
    page(evaluation(1, None), {"kind": "step", "step": 3}, {"kind": "evaluation", "step": 3})
    assert "<b>x" not in page(step(1), name="<b>x")


def test_a_long_run_needs_no_more_memory() -> None:
    page = RunPage(RunFolder(Path("nowhere")), 10**6)
    for number in range(10 * POINTS):
        page.take(step(number + 1))
        page.take(evaluation(number + 1, 0.5))
    assert len(page.logged) <= 2 * POINTS >= len(page.measured)
    assert page.logged[-1]["step"] == 10 * POINTS and page.measured[-1]["metrics"] == {"mask AP": 0.5, "mIoU": 0.5}


def test_the_page_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = [100.0], []
    monkeypatch.setattr(run_page.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(run_page, "write_atomically", lambda path, text: written.append(now[0]))
    page = RunPage(RunFolder(tmp_path), 100)
    for entry in (step(1), step(2), evaluation(2, 0.5)):
        page.add(entry)
    now[0] += run_page.SECONDS + 1
    page.add(step(3))
    assert written == [100.0, 100.0, 111.0]


def test_curves_are_drawn_from_0_to_the_largest_value() -> None:
    html = render_page(RunFolder(Path("x")), [step(50, 2.0), step(100, 1.0)], [], 100, "")
    assert 'points="320.0,0.0 640.0,110.0"' in html


@pytest.mark.parametrize(
    ("losses", "scores", "skipped", "expected"),
    [
        ([2.0, 1.9, 1.5, 1.0, 0.8, 0.7, 0.6, 0.6, 0.5, 0.5, 0.5, 0.5], [0.1, 0.2], 0, []),
        ([2.0] * 12, [], 0, ["the loss does not fall"]),
        ([2.0] * 11, [0.0], 0, []),
        ([], [0.0, 0.0], 0, ["nothing is found yet"]),
        ([], [0.1, 0.4, 0.3, 0.2, 0.1], 0, ["since step 1:"]),
        ([], [0.4, 0.1, 0.2, 0.3], 2, ["2 logged steps had no finite loss"]),
    ],
)
def test_advice(losses: list[float], scores: list[float], skipped: int, expected: list[str]) -> None:
    lines = advice(list(enumerate(losses)), list(enumerate(scores)), skipped)
    assert len(lines) == len(expected) and all(part in line for part, line in zip(expected, lines, strict=True))


def test_a_run_is_watched(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images at each evaluation, of which the newest stay; callbacks get the lines of the log."""
    monkeypatch.setattr(watched, "KEPT", 2)
    root = Path(config.data.root)
    (root / "instances_val.json").write_bytes((root / "instances_train.json").read_bytes())
    settings = replace(config.train, evaluate_every=1, loggers=())
    config = replace(config, train=settings, schedule=replace(config.schedule, steps=3))
    lines: list[Any] = []
    train(config, tmp_path / "run", device="cpu", callbacks=[lines.append])
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert lines == log and [line["kind"] for line in lines].count("evaluation") == 3
    index = read_index(tmp_path / "run/pictures")
    assert index.keys() == {f"{number}.png" for number in range(4)}
    assert all([text for text, _ in rows] == ["labels", "step 3", "step 2"] for rows in index.values())
    files = {file for rows in index.values() for _, file in rows}
    assert {path.name for path in (tmp_path / "run/pictures").glob("*.jpg")} == files
    html = (tmp_path / "run/index.html").read_text()
    assert "step 3 of 3, finished" in html and all(f'src="pictures/{file}"' in html for file in files)
    assert not (tmp_path / "run/tensorboard").exists()


def test_what_a_callback_raises_ends_the_training(config: Config, tmp_path: Path) -> None:
    def stop(line: Any) -> None:
        if line["step"] == 2:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        train(config, tmp_path / "run", device="cpu", callbacks=[stop])
    assert "stopped" in (tmp_path / "run/index.html").read_text()
    assert math.isfinite(json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])["losses"]["total"])
