"""Craft of training: what differs between the variants, and the table by hand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.ablations import craft

import maskrcnn
from maskrcnn import Config
from maskrcnn.settings import differing_settings


@pytest.mark.parametrize("preset", ["light", "nuclei"])
def test_each_variant_changes_one_thing(preset: str) -> None:
    base = maskrcnn.preset(preset)
    differing = {v.name: differing_settings(v.change(base), base) for v in craft.VARIANTS}
    jitter = {"augment.scale_range", "augment.pad_crops", "augment.crop_size"}
    assert set(differing.pop("large-scale jitter")) == (jitter if preset == "light" else jitter - {"augment.crop_size"})
    assert {name: list(settings) for name, settings in differing.items()} == {
        "plain": [],
        "copy-paste": ["augment.copy_paste"],
        "repeat factors": ["data.repeat_threshold"],
        "rates by layer, the other way": ["optimizer.layer_decay"],
        "without average of weights": ["train.ema_decay"],
    }


def test_the_table_by_hand() -> None:
    """Differences of 1, 1.5 and 1.5 points: 1.33 on average, with a standard error of 0.29 / root 3."""
    runs = {
        "plain": {0: 10.0, 1: 12.0, 2: 14.0},
        "a": {0: 11.0, 1: 13.5, 2: 15.5},
        "b": {0: 9.0, 1: 11.0, 2: 15.0},
        "c": {0: 9.0, 1: 10.0},
        "d": {1: 12.5},
        "e": {},
    }
    costs = {name: {"steps": 7, "seconds_per_step": 0.25} for name in ["plain", "a", "b", "c"]} | {"d": {"steps": 2}}
    assert craft.table(runs, costs).splitlines()[2:] == [
        "| plain | 0.250 | 7 | 3 | 12.0 ± 2.0 |  |  |  |",
        "| a | 0.250 | 7 | 3 | 13.3 ± 2.3 | +1.33 | 0.17 | better |",
        "| b | 0.250 | 7 | 3 | 11.7 ± 3.1 | -0.33 | 0.67 | no |",
        "| c | 0.250 | 7 | 2 | 9.5 ± 0.7 | -1.50 | 0.50 | worse |",
        "| d | – | 2 | 1 | 12.5 | +0.5 | – | – |",
    ]


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for training, and one class, for which repeat factors mean nothing."""
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"categories": [{"id": 1, "name": "a"}]}))
    trained: list[tuple[str, int, int]] = []

    def train(config: Config, run: Path, *, device: str, init: object, resume: bool) -> Any:
        trained.append((run.name, config.train.seed, config.schedule.steps))
        return type("Result", (), {"metrics": {"mask": {"AP": 0.2 + 0.01 * config.train.seed}}})

    def start(options: argparse.Namespace) -> tuple[Config, None]:
        return craft.changed(maskrcnn.preset(options.preset), data={"train_annotations": str(labels)}), None

    monkeypatch.setattr(maskrcnn, "train", train)
    monkeypatch.setattr(craft, "start", start)
    arguments = ["--data", str(tmp_path), "--preset", "tiny", "--images", "4", "--steps", "30", "--seeds", "0,1"]
    craft.main([*arguments, "--output", str(tmp_path / "out")])
    assert len(trained) == 10 and trained[0] == ("plain-0", 0, 30) and trained[-1][1:] == (1, 30)
    text = (tmp_path / "out" / "craft.md").read_text()
    assert "| copy-paste | – | 30 | 2 | 20.5 ± 0.7 | +0.00 | 0.00 | no |" in text and "repeat" not in text
    craft.main([*arguments, "--output", str(tmp_path / "out")])
    assert len(trained) == 10 and (tmp_path / "out" / "craft.md").read_text() == text
    known = ["--results", str(tmp_path / "out" / "craft.json"), "--output", str(tmp_path / "elsewhere")]
    craft.main([*arguments, *known, "--seeds", "0,1,2"])
    assert len(trained) == 15 and {seed for _, seed, _ in trained[10:]} == {2}, "what another machine has done is known"
    craft.main([*arguments, *known, "--steps", "20", "--seeds", "0"])
    assert len(trained) == 20, "shorter trainings are others"
