"""`maskrcnn train --init`: which weights a training starts with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from cli.conftest import Run
from maskrcnn.cli import labelled_classes
from maskrcnn.settings import read_settings
from maskrcnn.training import division, published
from maskrcnn.weights.checkpoint import read_checkpoint
from maskrcnn.weights.hub import PUBLISHED, Published
from weights.foreign import synthetic
from weights.web import running

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
    assert saved.config.optimizer.layer_decay == 0.7 and saved.config.train.evaluate_start  # trained gently


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
    assert f"--init absent.pth: left out, since the run in {tmp_path / 'run'} goes on with its own weights" in err


def test_a_run_that_saved_no_state_begins_again_with_the_weights_named(
    run: Run, dataset: Path, model_file: Path, tmp_path: Path
) -> None:
    options = ("train", "--data", dataset, "--output", tmp_path / "run", "--preset", "tiny", *SHORT)
    code, out, _ = run(*options, "--init", model_file, "--print-config")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(out)
    code, out, err = run(*options, "--init", model_file, "--resume")
    assert code == 0 and "starting anew" in err and f"weights from {model_file}" in out + err


def test_weights_that_do_not_fit(run: Run, dataset: Path, model_file: Path, tmp_path: Path) -> None:
    options = ("train", "--data", dataset, "--output", tmp_path / "run", *SHORT)
    code, _, err = run(*options, "--preset", "small", "--init", model_file)
    assert code == 2 and "another backbone" in err
    code, _, err = run(*options, "--init", model_file, "--set", "input.std=[1, 1, 1]")
    assert code == 2 and "these weights need input.std=" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "needs"),
    [
        ("input: {mean: [0.1, 0.1, 0.1]}", "input.mean=(0.49"),
        ("input: {std: [0.5, 0.5, 0.5]}", "input.std=(0.50"),
        ("resnet: {norm_eps: 0.001}", "resnet.norm_eps=1e-05"),
    ],
)
def test_a_file_does_not_contradict_the_weights_unheard(
    run: Run, dataset: Path, tmp_path: Path, setting: str, needs: str
) -> None:
    """Nor does what is shown: the preset starts with its bundled backbone."""
    (tmp_path / "own.yaml").write_text(setting)
    options = ("train", "--preset", "light", "--config", tmp_path / "own.yaml", *SHORT)
    for more in (("--print-config",), ("--data", dataset, "--output", tmp_path / "run")):
        code, out, err = run(*options, *more)
        assert code == 2 and out == "" and f"efficientnet_lite0: these weights need {needs}" in err
        assert f"; delete {needs.partition('=')[0]} from {tmp_path / 'own.yaml'}, or choose other weights" in err
    assert run(*options, "--init", "none", "--print-config")[0] == 0


def test_a_whole_file_of_a_preset_takes_other_weights(run: Run, tmp_path: Path) -> None:
    """Nobody has chosen all of its settings, as somebody has what --set says."""
    (tmp_path / "all.yaml").write_text(run("train", "--preset", "light", "--print-config")[1])
    options = ("train", "--config", tmp_path / "all.yaml", "--init", "nuclei", "--print-config")
    code, shown, err = run(*options)
    assert code == 0 and yaml.safe_load(shown)["input"]["mean"] == [0.485, 0.456, 0.406]
    assert err.startswith(f"{tmp_path / 'all.yaml'}: input.mean and input.std left out, since nuclei needs what")
    assert err.count("\n") == 1 and yaml.safe_load(shown)["backbone"]["name"] == "efficientnet_lite0"
    code, _, err = run(*options, "--set", "input.std=[1, 1, 1]")
    assert code == 2 and "need input.std=(0.229, 0.224, 0.225); set it so, leave it out, or" in err
    assert err.count("\n") == 1


def test_what_is_shown_is_what_the_run_uses(run: Run, dataset: Path, tmp_path: Path) -> None:
    """Also without a preset, where the classes of the labels choose the model."""
    for labels in dataset.glob("instances_*.json"):
        labels.write_text(labels.read_text().replace("round", "nucleus").replace("long", "cell"))
    code, shown, err = run("train", "--data", dataset, "--print-config")
    assert code == 0 and 'name: "resnet18"' in shown and "layer_decay: 0.7" in shown, err
    assert run("train", "--data", dataset, "--output", tmp_path / "run", *SHORT)[0] == 0
    run_used = read_settings(tmp_path / "run" / "config.yaml")
    code, shown, _ = run("train", "--data", dataset, *SHORT, "--print-config")
    assert yaml.safe_load(shown) == run_used


@pytest.mark.parametrize(
    ("limit", "name"), [("LARGEST_PEEK", "labels.json"), ("LARGEST_PEEK", "data"), ("MOST_FILES", "data")]
)
def test_settings_are_shown_without_reading_large_labels(
    run: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, name: str
) -> None:
    data = tmp_path / name
    if name == "data":
        shutil.copytree(dataset, data)
        (data / "instances_train.json").rename(data / "labels.json")
        (data / "instances_val.json").unlink()
    else:
        data.write_text("{}")
    monkeypatch.setattr(division, "open_labels", lambda *_: pytest.fail("the labels are read"))
    monkeypatch.setattr(labelled_classes, limit, 1)
    code, shown, err = run("train", "--data", data, "--print-config")
    assert code == 0 and err.count("\n") == 1 and f"{data}: too much to read for its classes alone, so these" in err
    assert shown == run("train", "--preset", "light", "--print-config", "--set", f"data.root={data}")[1]


@pytest.mark.parametrize("more", [(), ("--class-map", "absent.txt")], ids=["no labels", "no class map"])
def test_settings_are_shown_without_labels(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    """Also of another folder, such as the one in which the command is typed."""
    monkeypatch.chdir(tmp_path)
    code, shown, err = run("train", "--data", ".", *more, "--print-config")
    assert code == 0 and err == (
        ".: the labels cannot be read, so these settings are those for classes that no bundled model knows; "
        "`maskrcnn check` says why\n"
    )
    assert shown == run("train", "--data", ".", *more, "--preset", "light", "--print-config")[1]
    code, _, err = run("train", "--data", ".", "--output", tmp_path / "run")
    assert code == 2 and "expected labels in a known form" in err


def test_published_weights_are_downloaded_when_named(
    run: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings that they need go before those of the preset."""
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MASKRCNN_OFFLINE", raising=False)
    monkeypatch.setattr(published, "published_starts", lambda config: ("torchvision/resnet18",))
    torch.save(synthetic.torchvision_detector(slots=91), tmp_path / "theirs.pth")
    (tmp_path / "own.yaml").write_text("backbone: {norm: frozen_bn}\n")
    options = ("train", "--data", dataset, "--preset", "tiny", "--config", tmp_path / "own.yaml", *SHORT)
    narrow = [f"{name}=8" for name in ("resnet.stem_channels", "fpn.channels", "mask_head.channels")]
    narrow += ["box_head.fc_channels=16"]
    with running() as server:
        server.behave = lambda handler: handler.send((tmp_path / "theirs.pth").read_bytes())
        monkeypatch.setitem(PUBLISHED, "torchvision/resnet18", Published(server.url))
        shown = run(*options, "--print-config")[1]
        assert 'norm: "frozen_bn"' in shown and server.ranges == []
        assert run(*options[:2], tmp_path / "absent.json", *options[3:])[0] == 2
        chosen = [word for setting in narrow for word in ("--set", setting)]
        code, _, err = run(*options, *chosen, "--output", tmp_path / "run")
        assert code == 2 and "choose: --init torchvision/resnet18, which is downloaded" in err and server.ranges == []
        code, out, err = run(*options, *chosen, "--output", tmp_path / "run", "--init", "torchvision/resnet18")
        assert code == 0, err
        assert server.ranges == [""]
    assert "weights from torchvision/resnet18; made anew: box_head.class_logits, box_head.deltas, mask" in out + err
    saved = read_checkpoint(tmp_path / "run" / "last.safetensors").config
    assert saved.input.mean == (0.485, 0.456, 0.406) and saved.resnet.norm_eps == 0 and saved.rpn.min_size == 1e-3


def test_published_weights_that_cannot_be_had(
    run: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MASKRCNN_OFFLINE", "1")
    options = ("train", "--output", tmp_path / "run", "--preset", "torchvision_v2", *SHORT)
    code, _, err = run(*options)
    assert code == 2 and "--data is missing" in err
    options = (*options, "--data", dataset)
    code, _, err = run(*options)
    assert code == 2 and err.count("\n") == 1
    assert "choose: --init torchvision/maskrcnn_resnet50_fpn_v2, which is downloaded, --init FILE for your own" in err
    backbone = PUBLISHED["torchvision/resnet50"].path
    backbone.parent.mkdir(parents=True)
    backbone.touch()
    assert "choose: --init torchvision/resnet50 (already downloaded), --init FILE" in run(*options)[2]
    code, _, err = run(*options, "--init", "torchvision/resnet101")
    assert code == 2 and "torchvision/resnet101: not downloaded yet" in err and "choose" not in err
    assert run("train", "--preset", "torchvision_v2", "--print-config")[0] == 0


def test_random_weights_are_said(run: Run, dataset: Path, tmp_path: Path) -> None:
    options = ("train", "--data", dataset, "--output", tmp_path / "run", "--preset", "tiny", *SHORT)
    said = "the weights are random"
    code, out, err = run(*options)
    assert code == 0 and said in out + err
    code, out, err = run(*options, "--resume")
    assert code == 0 and said not in out + err
