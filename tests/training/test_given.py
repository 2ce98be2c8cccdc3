"""A network and an optimizer of the user's own, handed to `train`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.branches import DenseBranch
from maskrcnn.models.losses import Losses
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.settings import parse_assignments, update_config
from maskrcnn.structures import Detections
from maskrcnn.training.loop import train
from maskrcnn.weights.checkpoint import read_checkpoint


class BrightnessBranch(DenseBranch):
    """How bright each image is, from the mean of P2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.brightness = nn.Linear(channels, 1)

    def loss(self, maps: Sequence[Tensor], batch: Any, targets: Any) -> Losses:
        guess = self.brightness(maps[0].mean(dim=(2, 3)))[:, 0]
        return Losses(brightness=(guess - batch.pixels.mean(dim=(1, 2, 3))).square().mean())

    def predict(self, maps: Any, batch: Any, detections: Sequence[Detections]) -> list[Detections]:
        return list(detections)


def own_network(config: Config) -> MaskRCNN:
    torch.manual_seed(5)
    base = build_model(config, 2)
    parts = base.preprocess, base.backbone, base.rpn, base.box_head, base.roi_branches
    return MaskRCNN(*parts, dense_branches={"brightness": BrightnessBranch(config.fpn.channels)})


def own_optimizer(network: MaskRCNN) -> torch.optim.Optimizer:
    """The new branch learns faster."""
    new = list(network.brightness.parameters())
    rest = [p for name, p in network.named_parameters() if not name.startswith("brightness")]
    return torch.optim.SGD([{"params": rest}, {"params": new, "lr": 4e-3}], lr=1e-3, momentum=0.9)


def test_parts_that_no_setting_names(config: Config, tmp_path: Path) -> None:
    network = own_network(config)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = own_optimizer(network)
    result = train(config, tmp_path / "run", device="cpu", network=network, optimizer=optimizer)
    entries = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert all("brightness" in entry["losses"] for entry in entries)
    after = network.state_dict()
    assert not torch.equal(after["brightness.brightness.weight"], before["brightness.brightness.weight"])
    saved = read_checkpoint(result.last).weights
    assert saved.keys() == after.keys() and "brightness.brightness.weight" in saved
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates[1] == pytest.approx(4 * rates[0]) and 0 < rates[0] < 1e-3  # both follow the schedule
    assert entries[-1]["learning_rate"] == pytest.approx(rates[0])


class Counting(torch.optim.SGD):
    """Takes smaller and smaller steps; its counter is a plain number."""

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                calls = self.state[parameter]["calls"] = self.state[parameter].get("calls", 0) + 1
                if parameter.grad is not None:
                    parameter.data.sub_(parameter.grad, alpha=group["lr"] / calls)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, Counting])
def test_a_run_that_was_cut_off_ends_in_the_same_bits(config: Config, tmp_path: Path, kind: Any) -> None:
    def run(folder: str, steps: int, **options: Any) -> dict[str, Tensor]:
        network = own_network(config)
        optimizer = kind(network.parameters(), lr=1e-3)
        part = update_config(config, parse_assignments([f"schedule.steps={steps}"]), "test")
        train(part, tmp_path / folder, device="cpu", network=network, optimizer=optimizer, **options)
        return network.state_dict()

    whole = run("whole", 3)
    saved = sorted((tmp_path / "whole/state").glob("*.safetensors"))
    saved[-1].unlink()  # as if it had ended one step earlier
    again = run("whole", 3, resume=True)
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.items())


def test_what_does_not_belong_together(config: Config, tmp_path: Path) -> None:
    network, other = own_network(config), own_network(config)
    optimizer = own_optimizer(other)
    with pytest.raises(UserError, match="optimizer: expected one over the parameters of `network`, got no network"):
        train(config, tmp_path / "run", device="cpu", optimizer=optimizer)
    with pytest.raises(UserError, match="optimizer: expected parameters of `network` alone"):
        train(config, tmp_path / "run", device="cpu", network=network, optimizer=optimizer)
    with pytest.raises(
        UserError, match=r"network: expected one for the 2 class\(es\) of the training data, got one for 5"
    ):
        train(config, tmp_path / "run", device="cpu", network=build_model(config, 5))


def test_an_optimizer_whose_state_cannot_be_saved(config: Config, tmp_path: Path) -> None:
    class Listing(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.state[parameter]["calls"] = [1]

    network = own_network(config)
    with pytest.raises(UserError, match=r"optimizer: expected tensors and numbers in its state.*got calls=\[1\]"):
        train(config, tmp_path / "run", device="cpu", network=network, optimizer=Listing(network.parameters(), lr=0.1))
