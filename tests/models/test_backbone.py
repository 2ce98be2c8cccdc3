from __future__ import annotations

import pytest
import torch

from maskrcnn.errors import UserError
from maskrcnn.models.backbones.resnet import RESNETS, ResNet, resnet_layout
from maskrcnn.models.fpn import FPN
from maskrcnn.models.norm import NORMS, FrozenBatchNorm2d

PARAMETERS = {  # the published networks without their last layer (1000-way, with bias)
    "resnet18": 11_689_512 - 512 * 1000 - 1000,
    "resnet34": 21_797_672 - 512 * 1000 - 1000,
    "resnet50": 25_557_032 - 2048 * 1000 - 1000,
    "resnet101": 44_549_160 - 2048 * 1000 - 1000,
    "resnet152": 60_192_808 - 2048 * 1000 - 1000,
    "resnext50_32x4d": 25_028_904 - 2048 * 1000 - 1000,
    "resnext101_32x8d": 88_791_336 - 2048 * 1000 - 1000,
    "resnext101_64x4d": 83_455_272 - 2048 * 1000 - 1000,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_layouts_have_the_published_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        network = ResNet(resnet_layout(name), norm="bn")
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
@pytest.mark.parametrize("norm", [n for n in NORMS if n != "sync_bn"])
def test_pyramid_shapes(name: str, norm: str) -> None:
    fpn = FPN(ResNet(resnet_layout(name), norm=norm, stem_channels=8 if "next" not in name else 64), channels=16)
    levels = fpn(torch.rand(1, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [
        (1, 16, 16, 24),
        (1, 16, 8, 12),
        (1, 16, 4, 6),
        (1, 16, 2, 3),
        (1, 16, 1, 2),
    ]


def test_a_resnext_too_narrow_for_its_groups_is_one_clear_line() -> None:
    assert ResNet(resnet_layout("resnext50_32x4d"), stem_channels=16).stages[0][0].residual[3].groups == 32
    with pytest.raises(UserError, match=r"stem_channels.*expected a multiple of 16, .*; got 8$"):
        ResNet(resnet_layout("resnext50_32x4d"), stem_channels=8)


@pytest.mark.parametrize("stride_in_1x1", [True, False])
def test_where_a_bottleneck_strides(stride_in_1x1: bool) -> None:
    network = ResNet(RESNETS["resnet50"], stem_channels=8, stride_in_1x1=stride_in_1x1)
    residual = network.stages[1][0].residual
    strides = [layer.stride[0] for layer in residual if isinstance(layer, torch.nn.Conv2d)]
    assert strides == ([2, 1, 1] if stride_in_1x1 else [1, 2, 1])


def test_frozen_stages_do_not_move() -> None:
    network = ResNet(RESNETS["resnet18"], norm="bn", stem_channels=8)
    network.freeze(2)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.rand(2, 3, 64, 64))[-1].sum().backward()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith(("stages.1", "stages.2", "stages.3")) for name in moved)
    assert all((p.grad is None) == (not p.requires_grad) for p in network.parameters())
    assert network.stages[0][0].residual[0].weight.grad is None


def test_frozen_batch_norm_equals_batch_norm_in_eval_mode() -> None:
    torch.manual_seed(0)
    frozen, plain = FrozenBatchNorm2d(4), torch.nn.BatchNorm2d(4)
    with torch.no_grad():
        plain.running_mean.normal_()
        plain.running_var.uniform_(0.5, 2)
        plain.weight.normal_()
        plain.bias.normal_()
    frozen.load_state_dict({k: v for k, v in plain.state_dict().items() if k != "num_batches_tracked"})
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(frozen(x), plain.eval()(x))
