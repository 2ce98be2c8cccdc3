"""The ablations: equal budgets, the right differences, and a table whose figures are worked out by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.ablations import __main__ as ablations
from benchmarks.ablations.experiments import ABLATIONS, Ablation, Variant, changed
from benchmarks.ablations.subset import only, thinned
from benchmarks.ablations.table import ablation_table, mean_and_spread

import maskrcnn
from maskrcnn import Config
from maskrcnn.build import build_model
from maskrcnn.settings import differing_settings

BUDGET = ("input", "data", "augment", "optimizer", "schedule", "train", "evaluation")


@pytest.fixture
def base() -> Config:
    return maskrcnn.preset("tiny")


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.name)
def test_variants_differ_in_what_is_asked_and_in_nothing_of_the_budget(ablation: Ablation, base: Config) -> None:
    configs = [variant.change(base) for variant in ablation.variants]
    for config in configs:
        assert [getattr(config, section) for section in BUDGET] == [getattr(base, section) for section in BUDGET]
        build_model(config, 3)
    sections = {
        "2a": {"backbone", "resnet", "anchors", "rpn", "roi", "box_head", "mask_head"},
        "2b": {"mask_head"},
        "class-agnostic": {"mask_head"},
        "2c": {"roi"},
        "2d": {"roi"},
        "2e": {"mask_head"},
        "multi-task": {"mask_head"},
    }[ablation.name]
    differing = {name for config in configs for name in differing_settings(config, configs[-1])}
    assert differing and {name.split(".")[0] for name in differing} <= sections
    assert len(set(map(repr, configs))) == len(configs)


def test_the_paper_is_told_for_every_row() -> None:
    for ablation in ABLATIONS:
        for variant in ablation.variants:
            kinds = set(variant.paper)
            assert kinds == set(ablation.kinds) or (ablation.name == "2a" and kinds == {"mask"}), variant.name
    warp = next(a for a in ABLATIONS if a.name == "2c").variants
    assert [v.paper["mask"][0] for v in warp] == [26.9, 27.2, 27.1, 30.2, 30.3]


def run(ap: float) -> dict[str, Any]:
    return {"mask": {"AP": ap, "AP50": ap + 0.2, "AP75": ap - 0.05}}


def test_the_table_by_hand() -> None:
    """Differences are taken seed by seed: 3, 5 and 4 points, though the runs themselves spread by 10."""
    ablation = Ablation(
        "2x",
        "a or b",
        "R50",
        (
            Variant("a", lambda config: config, {"mask": (20.0, 40.0, None)}),
            Variant("b", lambda config: config, {"mask": (22.5, 41.0, 23.0)}),
        ),
    )
    results = {"a": {0: run(0.1), 1: run(0.2), 2: run(0.3)}, "b": {0: run(0.13), 1: run(0.25), 2: run(0.34)}}
    lines = ablation_table(ablation, results).splitlines()
    assert lines[0] == "## Table 2x: a or b" and lines[2] == "The paper: R50."
    assert lines[4:] == [
        "| mask AP of | seeds | AP | AP50 | AP75 | paper | b is ahead by | paper |",
        "|---|---|---|---|---|---|---|---|",
        "| a | 3 | 20.0 ± 10.0 | 40.0 ± 10.0 | 15.0 ± 10.0 | 20.0 / 40.0 / – | +4.0 ± 1.0 | +2.5 |",
        "| b | 3 | 24.0 ± 10.5 | 44.0 ± 10.5 | 19.0 ± 10.5 | 22.5 / 41.0 / 23.0 |  |  |",
    ]


def test_a_table_that_is_only_begun_and_one_that_comes_out_the_other_way() -> None:
    ablation = Ablation("word", "a or b", "x", (Variant("a", lambda c: c), Variant("b", lambda c: c)), kinds=("mask",))
    text = ablation_table(ablation, {"a": {0: run(0.3)}, "b": {}})
    assert text.startswith("## a or b\n") and "| a | 1 | 30.0 | 50.0 | 25.0 | – | – | – |" in text
    assert "| b | 0 | – | – | – | – |  |  |" in text
    text = ablation_table(ablation, {"a": {0: run(0.3), 1: run(0.3)}, "b": {0: run(0.2), 5: run(0.9)}})
    assert "| -10.0 | – |" in text, "only seed 0 was run of both"


def test_mean_and_spread() -> None:
    assert mean_and_spread([1.0, 2.0, 4.0]) == "2.3 ± 1.5"
    assert mean_and_spread([1.0, 2.0], sign=True) == "+1.5 ± 0.7"
    assert mean_and_spread([-0.04]) == "0.0" and mean_and_spread([]) == "–"


def test_thinned_data_is_spread_over_the_file_and_keeps_whole_images() -> None:
    content = {
        "images": [{"id": i} for i in range(10)],
        "annotations": [{"image_id": i // 2} for i in range(20)],
        "categories": [1],
    }
    thin = thinned(content, 4)
    assert [image["id"] for image in thin["images"]] == [0, 2, 5, 7]
    assert [a["image_id"] for a in thin["annotations"]] == [0, 0, 2, 2, 5, 5, 7, 7] and thin["categories"] == [1]
    assert thinned(content, 99) == content


def test_only_some_categories() -> None:
    content = {
        "images": [{"id": 1}],
        "annotations": [{"category_id": 3}, {"category_id": 5}, {"category_id": 3}],
        "categories": [{"id": 3, "name": "a"}, {"id": 5, "name": "b"}],
    }
    assert only(content, []) == content
    rest = only(content, ["a"])
    assert rest["annotations"] == [{"category_id": 3}] * 2 and rest["categories"] == [{"id": 3, "name": "a"}]
    assert rest["images"] == content["images"]
    with pytest.raises(ValueError, match="expected some of a, b; got c"):
        only(content, ["a", "c"])


def test_from_the_command_line_to_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for training: who is trained, with which seeds, and that nothing is trained twice."""
    data = tmp_path / "squares"
    (data / "images").mkdir(parents=True)
    content = {"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}
    for split in ("train", "val"):
        (data / f"instances_{split}.json").write_text(json.dumps(content))
    trained: list[Config] = []

    def train(config: Config, output: Path, *, device: str, resume: bool) -> Any:
        trained.append(config)
        output.mkdir(parents=True)
        ap = 0.2 + 0.01 * config.train.seed + (0.05 if config.backbone.features == "fpn" else 0.0)
        metrics = {kind: {"AP": ap, "AP50": ap, "AP75": ap} for kind in ("mask", "box")}
        return type("Result", (), {"metrics": {**metrics, "settings": {}}})

    monkeypatch.setattr(maskrcnn, "train", train)
    arguments = ["--data", str(data), "--output", str(tmp_path / "out"), "--steps", "7", "--seeds", "2"]
    ablations.main([*arguments, "--pairs", "2a,2c"])
    assert len(trained) == 2 * (2 + 5 - 1), "C4 is RoIAlign, mean: one run serves both tables"
    assert {(c.train.seed, c.schedule.steps) for c in trained} == {(0, 7), (1, 7)}
    text = (tmp_path / "out" / "ablations.md").read_text()
    assert "7 steps of 4 images, 1 images of `squares`" in text
    assert "| C4 | 2 | 20.5 ± 0.7 |" in text and "| 30.3 / 51.2 / 31.5 | +5.0 ± 0.0 | +3.3 |" in text
    ablations.main([*arguments, "--pairs", "2a,2c"])
    assert len(trained) == 12 and (tmp_path / "out" / "ablations.md").read_text() == text


def test_one_class_leaves_out_what_needs_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "val"):
        content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
        (tmp_path / f"instances_{split}.json").write_text(json.dumps(content))
    asked: list[str] = []
    monkeypatch.setattr(ablations, "measured", lambda config, *_: asked.append(config.mask_head.loss) or {})
    monkeypatch.setattr(ablations, "write_tables", lambda *_: None)
    ablations.main(["--data", str(tmp_path), "--output", str(tmp_path / "out"), "--seeds", "1", "--pairs", "2b,2e"])
    assert asked == ["sigmoid"] * 2
    with pytest.raises(SystemExit):
        ablations.main(["--data", str(tmp_path), "--pairs", "2z"])


def test_changed_keeps_the_rest(base: Config) -> None:
    config = changed(base, roi={"operator": "pool"})
    assert config == dataclasses.replace(base, roi=dataclasses.replace(base.roi, operator="pool"))
