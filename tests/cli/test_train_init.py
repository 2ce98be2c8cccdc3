"""`maskrcnn train --init`: which weights a training starts with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cli.conftest import Run
from maskrcnn.cli.train import PUBLISHED_FOR
from maskrcnn.presets import PRESETS
from maskrcnn.weights.checkpoint import read_checkpoint
from maskrcnn.weights.hub import PUBLISHED
from weights.foreign import synthetic

SHORT = ("--set", "schedule.steps=1", "--set", "train.batch_size=1", "--set", "input.min_size=64", "--device", "cpu")


def test_the_model_is_that_of_the_weights(run: Run, dataset: Path, tmp_path: Path) -> None:
    torch.save(synthetic.torchvision_detector(slots=4), tmp_path / "theirs.pth")
    code, out, err = run(
        "train", "--data", dataset, "--output", tmp_path / "run", "--init", tmp_path / "theirs.pth", *SHORT
    )  # fmt: skip
    assert code == 0, err
    assert "made anew: box_head.class_logits, box_head.deltas, mask_head.mask_logits" in out + err
    saved = read_checkpoint(tmp_path / "run" / "last.safetensors")
    assert saved.config.backbone.name == "resnet18" and saved.config.mask_head.paste == "torchvision"
    assert saved.categories.names == ("round", "long") and saved.config.schedule.steps == 1


def test_a_training_needs_no_shift_of_its_keypoints(run: Run, shared: Path) -> None:
    """torchvision's weights mean COCO's pixel numbers, our data continuous coordinates."""
    weights = shared / "golden" / "tv_keypointrcnn_fpn" / "weights.safetensors"
    code, out, _ = run("train", "--init", weights, "--print-config")
    assert code == 0 and 'rule: "torchvision"' in out and "shift: 0.0" in out


def test_a_preset_for_the_weights(run: Run, dataset: Path, model_file: Path, tmp_path: Path) -> None:
    """The classes are the same: everything is taken over. And a resumed run has its own weights."""
    options = ("--data", dataset, "--output", tmp_path / "run", "--preset", "tiny", *SHORT)
    code, out, err = run("train", *options, "--init", model_file)
    assert code == 0 and f"weights from {model_file}" in out + err and "made anew" not in out + err
    code, out, err = run("train", *options, "--init", "absent.pth", "--resume")
    assert code == 0 and "weights from" not in out + err


def test_weights_that_do_not_fit(run: Run, dataset: Path, model_file: Path, tmp_path: Path) -> None:
    options = ("train", "--data", dataset, "--output", tmp_path / "run", *SHORT)
    code, _, err = run(*options, "--preset", "small", "--init", model_file)
    assert code == 2 and "another backbone" in err
    code, _, err = run(*options, "--init", model_file, "--set", "input.std=[1, 1, 1]")
    assert code == 2 and "these weights need input.std=" in err
    assert not (tmp_path / "run").exists()


def test_published_weights_that_cannot_be_had(
    run: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MASKRCNN_OFFLINE", "1")
    options = ("train", "--data", dataset, "--output", tmp_path / "run", "--preset", "torchvision_v2", *SHORT)
    code, _, err = run(*options)
    assert code == 2 and "or choose: --init none for random weights, --init FILE for your own" in err
    code, _, err = run(*options, "--init", "torchvision/resnet50")
    assert code == 2 and "torchvision/resnet50: not downloaded yet" in err and "or choose" not in err
    assert run("train", "--preset", "torchvision_v2", "--print-config")[0] == 0


def test_presets_with_published_weights() -> None:
    """And no preset freezes stages that would be random."""
    assert PUBLISHED_FOR.keys() <= PRESETS.keys() and set(PUBLISHED_FOR.values()) <= PUBLISHED.keys()
    assert {name for name, preset in PRESETS.items() if preset().backbone.frozen_stages} <= PUBLISHED_FOR.keys()
