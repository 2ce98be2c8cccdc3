from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from maskrcnn.acceleration import choice, training
from maskrcnn.acceleration.training import (
    LaterFlatten,
    TrainableConv2d,
    TrainableFPN,
    TrainableLinear,
    prepare_for_training,
)
from maskrcnn.build import build_model, build_trunk
from maskrcnn.config import Augmentation
from maskrcnn.data.coco import read_coco
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.kernels.winograd import TILES
from maskrcnn.models import fpn
from maskrcnn.models.fpn import FPN, add_upsampled
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
    prepare_for_training(model)
    assert [type(layer) for layer in model] == [TrainableConv2d, nn.Conv2d, LaterFlatten, TrainableLinear]
    torch.testing.assert_close(model(x), expected)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("system", ["Fast R-CNN", "RPN alone"])
def test_training_follows_the_usual_way(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses of 50 steps from the same weights on the same real images, each within a thousandth.

    The two stages by themselves: together, the last digit of a score decides which regions are drawn. And no batch
    statistics: over the few cells of the last stage they blow up the last digit as well.
    """
    monkeypatch.setattr(choice, "MIN_CHANNELS", dict.fromkeys(TILES, 16))  # so that a small model goes Winograd's way
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
    fast = prepare_for_training(copy.deepcopy(usual))
    assert sum(isinstance(m, TrainableConv2d) for m in fast.modules()) > 10
    data = read_coco(EXAMPLES / "instances_train.json", EXAMPLES / "images")
    dataset = CocoDataset(data, Augmentation(min_sizes=(128,), crop_size=64, horizontal_flip=0.0), config.input)
    batches = [[dataset[i], dataset[i + 1]] for i in (0, 2)]

    def losses(model: MaskRCNN) -> list[float]:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
        values = []
        for step in range(50):
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


@pytest.mark.parametrize(("norm", "made_again"), [(None, 1), ("bn", 0)])
def test_the_finest_top_down_map_is_made_again_for_the_gradient(
    norm: str | None, made_again: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with a batch norm, whose running statistics would count it twice. Other levels are needed by the next."""
    torch.manual_seed(0)
    sums = 0

    def counted(x: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        nonlocal sums
        sums += 1
        return add_upsampled(x, coarse)

    monkeypatch.setattr(training, "add_upsampled", counted)
    monkeypatch.setattr(fpn, "add_upsampled", counted)
    usual = FPN(build_trunk(tiny()).backbone.bottom_up, channels=16, norm=norm).train()
    (fast,) = prepare_for_training(nn.Sequential(copy.deepcopy(usual)))
    assert isinstance(fast, TrainableFPN)
    pixels = torch.rand(2, 3, 64, 96)
    gradients = []
    for pyramid in (usual, fast):
        sums = 0
        sum(level.square().sum() for level in pyramid(pixels)).backward()
        gradients.append({name: parameter.grad for name, parameter in pyramid.named_parameters()})
    assert sums == 3 + made_again
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(dict(fast.named_buffers()), dict(usual.named_buffers()))
