"""torchvision's side at a tiny size, in this process and with its operators in Python."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.compare.agreement import compare
from benchmarks.compare.ours import Ours
from benchmarks.compare.scenarios import Scenario

from benchmarks.local_worker import TINY
from maskrcnn.benchmark.meter import REST
from maskrcnn.benchmark.stages import STAGE_NAMES
from parity import oracle

pytestmark = pytest.mark.usefixtures("no_matrix_product")


@pytest.fixture
def theirs() -> Any:
    oracle.torchvision()  # or skip
    from benchmarks.compare.theirs import Theirs

    return Theirs("cpu", channels_last=True)


def prepare_both(ours: Ours, theirs: Any, scenario: Scenario, folder: Path) -> None:
    plan, inputs = asdict(scenario), str(folder / "inputs.pt")
    ours.make_inputs(plan, inputs)
    theirs.make_weights(plan, str(folder / "theirs.pth"))
    ours.adopt(plan, str(folder / "theirs.pth"), str(folder / "ours.safetensors"))
    threshold = 0.0
    if scenario.kind == "predict":
        ours.prepare(plan, str(folder / "ours.safetensors"), inputs)
        threshold = ours.calibrate()
    ours.prepare(plan, str(folder / "ours.safetensors"), inputs, threshold)
    theirs.prepare(plan, str(folder / "theirs.pth"), inputs, threshold)


def answers(ours: Ours, theirs: Any, folder: Path) -> list[dict[str, Any]]:
    found = []
    for name, engine in (("ours", ours), ("theirs", theirs)):
        engine.answer(str(folder / name))
        found.append(torch.load(folder / name, weights_only=True))
    return found


def test_both_find_the_same(theirs: Any, tmp_path: Path) -> None:
    ours, scenario = Ours(), replace(TINY, images=3, batch_size=2)
    prepare_both(ours, theirs, scenario, tmp_path)
    own, other = answers(ours, theirs, tmp_path)
    agreement = compare(own, other)
    assert agreement.suffices and agreement.summary.startswith("15 of 15 objects alike"), agreement.summary
    assert [len(image["scores"]) for image in other["images"]] == [5, 5, 5]
    stages = theirs.stages()
    assert all(seconds > 0 for seconds in stages.values())
    assert {*STAGE_NAMES, REST} - set(stages) == {"shared RoI layers", "keypoint RoI features", "keypoint head"}
    assert set(stages) <= {*STAGE_NAMES, REST}
    assert theirs.run() > 0 and theirs.versions()["torchvision"]


@pytest.mark.slow
def test_both_train_alike(theirs: Any, tmp_path: Path) -> None:
    scenario = replace(TINY, kind="train", images=2, batch_size=2, objects=3, image_size=(96, 96), short_side=96)
    ours = Ours()
    prepare_both(ours, theirs, scenario, tmp_path)
    theirs._network.roi_heads.fg_bg_sampler.batch_size_per_image = 32  # RoIAlign in Python is slow
    ours._network.box_head.sampler.samples_per_image = 32
    own, other = answers(ours, theirs, tmp_path)
    assert compare(own, other).suffices, compare(own, other).summary
    trained = [sum(p.numel() for p in engine._network.parameters() if p.requires_grad) for engine in (theirs, ours)]
    assert trained[0] - trained[1] == 4 * 1025 + 257, "torchvision predicts boxes and masks of the background too"


def test_operators_in_python_are_not_measured(theirs: Any) -> None:
    from benchmarks.compare.theirs import require_compiled_operators

    if not oracle.torchvision().extension._has_ops():
        with pytest.raises(RuntimeError, match="lacks its compiled operators"):
            require_compiled_operators()
    else:
        require_compiled_operators()
