from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from maskrcnn.acceleration import choice
from maskrcnn.acceleration.training import (
    LaterFlatten,
    OneDNNLinear,
    WinogradConv2d,
    speed_up_training,
)
from maskrcnn.build import build_model
from maskrcnn.config import Augmentation
from maskrcnn.data.coco import read_coco
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.kernels.winograd import TILES
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.presets import tiny

EXAMPLES = Path(__file__).parents[2] / "examples/nuclei_mini"


def test_parameters_keep_their_names_and_values() -> None:
    model = nn.Sequential(
        nn.Conv2d(256, 256, 3, padding=1), nn.Conv2d(256, 8, 3, padding=1), nn.Flatten(), nn.Linear(32, 2)
    )
    before = model.state_dict()
    x = torch.randn(3, 256, 2, 2)
    expected = model(x)
    speed_up_training(model)
    assert [type(layer) for layer in model] == [WinogradConv2d, nn.Conv2d, LaterFlatten, OneDNNLinear]
    torch.testing.assert_close(model(x), expected)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("steps", [12, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("system", ["Fast R-CNN", "RPN alone"])
def test_training_follows_the_usual_way(system: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses of all steps from the same weights on the same real images, each within a thousandth.

    The two stages by themselves: together, the last digit of a score decides which regions are drawn. And no batch
    statistics: over the few cells of the last stage they blow up the last digit as well.
    """
    monkeypatch.setattr(
        choice, "MIN_CHANNELS", dict.fromkeys(TILES, 16)
    )  # so that a small model uses Winograd's algorithm
    monkeypatch.setattr(choice, "MIN_TILES", 0)
    monkeypatch.setattr(choice, "MIN_PRODUCTS", 0)
    torch.manual_seed(0)
    given = system == "Fast R-CNN"
    config = tiny()
    config = replace(
        config,
        backbone=replace(config.backbone, norm="gn"),
        rpn=replace(config.rpn, enabled=not given),
        box_head=replace(config.box_head, enabled=given),
        mask_head=replace(config.mask_head, enabled=given),
    )
    usual = build_model(config, 1).train()
    fast = speed_up_training(copy.deepcopy(usual))
    assert sum(isinstance(m, WinogradConv2d) for m in fast.modules()) > 10
    data = read_coco(EXAMPLES / "instances_train.json", EXAMPLES / "images")
    dataset = CocoDataset(data, Augmentation(min_sizes=(128,), crop_size=64, horizontal_flip=0.0), config.input)
    batches = [[dataset[i], dataset[i + 1]] for i in (0, 2)]

    def losses(model: MaskRCNN) -> list[float]:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
        values = []
        for step in range(steps):
            batch = batches[step % 2]
            images, targets = [sample.image for sample in batch], [sample.targets for sample in batch]
            proposals = [torch.cat([t.boxes + offset for offset in (-4, 0, 3, 9)]).clamp(0, 64) for t in targets]
            optimizer.zero_grad()
            generators = [torch.Generator().manual_seed(step)] * len(images)
            losses = model.loss(images, targets, proposals=proposals if given else None, generators=generators)
            losses.total().backward()
            optimizer.step()
            values.append(losses.total().item())
        return values

    assert losses(fast) == pytest.approx(losses(usual), rel=1e-3)
