"""The table of systems: what is typed, what is read from what a command prints, and that nothing runs twice."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.systems import __main__ as systems
from benchmarks.systems.family import EXCERPTS, SYSTEMS, Excerpt

from maskrcnn.presets import PRESETS
from maskrcnn.settings import parse_assignments, read_settings, update_config

PRINTED = """step 20/40  loss 2.000
step 40/40  loss 1.000

         AP   AP50   AP75    AR1   AR10  AR200
mask  0.105  0.216  0.000  0.001  0.006  0.309
box   0.209  0.329  0.001  0.001  0.010  0.417

mask, per class  objects  candidates     AP   AP50
nucleus             1311        1314  0.004  0.016

             mIoU  pixel accuracy  mean accuracy  frequency-weighted IoU
every pixel  0.512           0.801          0.600                   0.700
"""


def test_what_is_read_from_the_last_lines() -> None:
    assert systems.steps_of(PRINTED) == 40
    assert systems.last_lines(PRINTED) == (
        "mask AP 0.105, AP50 0.216, AR200 0.309; box AP 0.209, AP50 0.329, AR200 0.417; "
        "every pixel mIoU 0.512, pixel accuracy 0.801"
    )


def test_every_system_of_the_papers_is_there() -> None:
    rooms = ("maskrcnn.presets.family", "maskrcnn.presets.dense")
    family = {name for name, make in PRESETS.items() if make.__module__ in rooms}
    assert {system.preset for system in SYSTEMS} == family


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.preset)
def test_the_commands_have_settings_that_fit(system: systems.System) -> None:
    short = read_settings(systems.SETTINGS)
    for data in system.data:
        words = systems.train_line(system, data).split()
        values = [value for word, value in pairwise(words) if word == "--set"]
        config = update_config(PRESETS[system.preset](), short, "short.yaml")
        config = update_config(config, parse_assignments(values), "--set")
        assert config.schedule.steps == 40
        assert ("--proposals" in words) == config.needs_proposals == system.is_given_regions


def test_the_page_has_the_commands_that_were_run() -> None:
    page = (Path(__file__).parents[2] / "docs" / "systems.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if " | `train " in line]
    expected = {(s.title, data, f"`{systems.train_line(s, data)}`") for s in SYSTEMS for data in s.data}
    assert {(row[0].removeprefix("| "), row[1], row[2]) for row in rows} == expected and len(rows) == len(expected)
    assert systems.PROPOSE in page


def test_nothing_is_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the commands; the page has a row for each."""
    typed: list[str] = []
    monkeypatch.setattr(systems, "typed", lambda line, folder: typed.append(line) or PRINTED)
    monkeypatch.setattr(systems, "take_excerpt", lambda *_: None)
    for _ in range(2):
        systems.main(["--data", "data", "--output", str(tmp_path), "--only", "rpn"])
        assert [line.split()[0] for line in typed] == ["train", "predict", "train"]
    lines = (tmp_path / "systems.md").read_text().splitlines()
    assert len(lines) == 4 and lines[2].startswith("| RPN alone | nuclei | `train --preset rpn --data nuclei ")
    assert lines[2].endswith("pixel accuracy 0.801 |")


def test_an_excerpt_has_whole_images_and_no_others(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    content = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in range(4)],
        "annotations": [{"image_id": number} for number in range(4)],
        "categories": [],
    }
    for number in range(4):
        (source / "images" / f"{number}.png").write_bytes(b"x")
    for split in ("train", "val"):
        (source / f"instances_{split}.json").write_text(json.dumps(content))
    systems.take_excerpt(source, tmp_path / "part", Excerpt(2, 1))
    assert len(json.loads((tmp_path / "part" / "instances_train.json").read_text())["annotations"]) == 2
    images = sorted(path.name for path in (tmp_path / "part" / "images").iterdir())
    assert images == ["0.png", "2.png"] and (tmp_path / "part" / "images" / "0.png").read_bytes() == b"x"
    assert EXCERPTS.keys() == {data for system in SYSTEMS for data in system.data}
