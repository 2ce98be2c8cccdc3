from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.presets import PRESETS, preset
from maskrcnn.settings import (
    config_from_dict,
    config_to_dict,
    differing_settings,
    nearest,
    parse_assignments,
    read_settings,
    update_config,
    write_yaml,
)


def override(*assignments: str) -> Config:
    return update_config(Config(), parse_assignments(assignments), "--set")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json_and_yaml(name: str, tmp_path: Path) -> None:
    config = preset(name)
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config
    (tmp_path / "config.yaml").write_text(write_yaml(config))
    assert config_from_dict(read_settings(tmp_path / "config.yaml")) == config


@pytest.mark.parametrize(
    ("assignment", "section", "setting", "value"),
    [
        ("rpn.nms_threshold=0.6", "rpn", "nms_threshold", 0.6),
        ("optimizer.lr=1e-3", "optimizer", "lr", 1e-3),  # PyYAML alone takes this for text
        ("optimizer.lr=1", "optimizer", "lr", 1.0),
        ("schedule.steps=1e3", "schedule", "steps", 1000),
        ("input.shrink=false", "input", "shrink", False),
        ("optimizer.name=adamw", "optimizer", "name", "adamw"),
        ("fpn.norm=gn", "fpn", "norm", "gn"),
        ("fpn.norm=null", "fpn", "norm", None),
        ("data.root=some where=else", "data", "root", "some where=else"),
        ("data.balance_by=modality", "data", "balance_by", "modality"),
        ("augment.negative=1", "augment", "negative", 1.0),
        ("input.mean=[0, 0.5, 1]", "input", "mean", (0.0, 0.5, 1.0)),
        ("augment.min_sizes=[]", "augment", "min_sizes", ()),
        ("anchors.sizes=[[8],[16],[32],[64],[128]]", "anchors", "sizes", ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))),
    ],
)
def test_assignments(assignment: str, section: str, setting: str, value: object) -> None:
    got = getattr(getattr(override(assignment), section), setting)
    assert got == value and type(got) is type(value)


def test_the_other_settings_stay_and_later_assignments_win() -> None:
    config = override("rpn.nms_threshold=0.6", "rpn.num_convs=2", "rpn.nms_threshold=0.5")
    assert differing_settings(Config(), config) == ["rpn.num_convs", "rpn.nms_threshold"]
    assert config.rpn.nms_threshold == 0.5


def test_settings_that_are_checked_together_can_change_together() -> None:
    config = override("input.min_size=2000", "input.max_size=3000")  # 2000 alone is above the default max_size
    assert (config.input.min_size, config.input.max_size) == (2000, 3000)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("rpn.nms_treshold=0.6", "rpn.nms_treshold.*did you mean rpn.nms_threshold"),
        ("fpn.milestones=0.6", "did you mean schedule.milestones"),
        ("rnp.nms_threshold=0.6", "rnp.*did you mean rpn"),
        ("xyz.abc=1", "xyz.*expected one of input, backbone"),
        ("rpn.nms_threshold=high", "rpn.nms_threshold: expected a number, got 'high'"),
        ("rpn.nms_threshold=true", "rpn.nms_threshold: expected a number, got True"),
        ("rpn.nms_threshold=[0.5]", r"rpn.nms_threshold: expected a number, got \[0.5\]"),
        ("rpn.nms_threshold=1.5", "rpn.nms_threshold: expected a number from 0 to 1, got 1.5"),
        ("augment.grey=1.5", "augment.grey: expected a number from 0 to 1, got 1.5"),
        ("augment.negative=-0.1", "augment.negative: expected a number from 0 to 1, got -0.1"),
        ("data.balance_by=3", "data.balance_by: expected text, got 3"),
        ("optimizer.lr=.nan", "optimizer.lr: expected a number, got nan"),
        ("optimizer.lr=.inf", "optimizer.lr: expected a number, got inf"),
        ("schedule.steps=10.5", "schedule.steps: expected a whole number, got 10.5"),
        ("schedule.steps=null", "schedule.steps: expected a whole number, got None"),
        ("input.shrink=1", "input.shrink: expected true or false, got 1"),
        ("optimizer.name=sdg", "optimizer.name: expected one of sgd, adamw, got 'sdg'"),
        ("fpn.norm=none", "fpn.norm .*null.*expected one of frozen_bn.*got 'none'"),
        ("input.mean=[1, 2]", "input.mean: expected 3 number.s., one for each of input.channels"),
        ("input.mean=0.5", "input.mean: expected a list"),
        ("anchors.sizes=[8, 16]", "anchors.sizes: expected a list"),
        ("nms_threshold=0.6", "expected section.name=value"),
        ("rpn.nms_threshold", "expected section.name=value"),
        ("rpn.nms_threshold=[0.6", "rpn.nms_threshold=.*cannot read the value"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_expected(assignment: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        override(assignment)
    assert "\n" not in str(caught.value) and "--set" in str(caught.value)


@pytest.mark.parametrize("values", [{"rpn": 3}, {"rpn": [1]}, {3: {"a": 1}}, {"rpn": {3: 1}}])
def test_nonsense_is_a_user_error_that_names_its_source(values: dict[Any, Any]) -> None:
    with pytest.raises(UserError, match=r"^my\.yaml: "):
        update_config(Config(), values, "my.yaml")


@pytest.mark.parametrize("content", [b"rpn: [unclosed", b"- a\n- list", b"word", b"\xff\xfe\x00", b"3"])
def test_a_file_that_is_no_settings_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.yaml: expected") as caught:
        read_settings(path)
    assert "\n" not in str(caught.value)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.yaml"):
        read_settings(tmp_path / "absent.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_settings(tmp_path / "empty.yaml") == {}


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("rpn: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UserError, match=r"evil\.yaml"):
        read_settings(path)


def test_nearest() -> None:
    assert nearest("tran", ["train", "predict"]) == "did you mean train?"
    assert nearest("zzz", ["train", "predict"]) == "expected one of train, predict"
