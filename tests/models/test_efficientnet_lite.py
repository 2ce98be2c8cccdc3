from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.loading import bundled_models, load
from maskrcnn.models.backbones.efficientnet_lite import (
    EfficientNetLite0,
    SamePaddedConv2d,
    padded_same,
    same_padding,
)
from maskrcnn.models.fpn import FPN
from maskrcnn.presets import preset
from maskrcnn.weights.checkpoint import read_checkpoint

WEIGHTS: Path = bundled_models()["efficientnet_lite0"]
PUBLISHED_PARAMETERS = 4_652_008
CLASSIFIER = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    saved = read_checkpoint(WEIGHTS).weights
    return {name.removeprefix("backbone.bottom_up."): tensor.float() for name, tensor in saved.items()}


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor]) -> EfficientNetLite0:
    network = EfficientNetLite0()
    network.load_state_dict(weights)
    return network.eval()


def test_it_has_the_published_number_of_parameters() -> None:
    network = EfficientNetLite0(norm="bn")
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED_PARAMETERS - CLASSIFIER


@pytest.mark.parametrize("norm", ["bn", "gn", "frozen_bn"])
def test_maps_have_the_strides_and_widths_that_are_said(norm: str) -> None:
    network = EfficientNetLite0(norm=norm).eval()
    assert network.channels == (24, 40, 112, 320) and network.strides == (4, 8, 16, 32)
    maps = network(torch.rand(1, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in maps] == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    maps = network(torch.rand(1, 3, 33, 50))  # sides are rounded up
    assert [tuple(x.shape[2:]) for x in maps] == [(9, 13), (5, 7), (3, 4), (2, 2)]
    assert len(FPN(network, 16)(torch.rand(1, 3, 64, 64))) == 5


def test_any_number_of_channels() -> None:
    assert EfficientNetLite0(in_channels=5).eval()(torch.rand(1, 5, 32, 32))[-1].shape == (1, 320, 1, 1)


# (side, kernel) -> zeros before and behind, from TensorFlow's rule: ceil(side / 2) outputs, the odd zero behind.
@pytest.mark.parametrize(
    ("side", "kernel", "expected"),
    [(4, 3, (0, 1)), (5, 3, (1, 1)), (4, 5, (1, 2)), (5, 5, (2, 2)), (512, 3, (0, 1)), (1, 3, (1, 1)), (2, 5, (1, 2))],
)
def test_same_padding_by_hand(side: int, kernel: int, expected: tuple[int, int]) -> None:
    assert same_padding(side, kernel) == expected
    total = max((-(-side // 2) - 1) * 2 + kernel - side, 0)
    assert expected == (total // 2, total - total // 2)


def test_a_strided_convolution_by_hand() -> None:
    conv = SamePaddedConv2d(1, 1, 3, 2, bias=False)
    conv.weight.data.fill_(1)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # Rows and columns 0-2 and 2-4, of which 4 are zeros.
    sums = [0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10, 2 + 3 + 6 + 7 + 10 + 11, 8 + 9 + 10 + 12 + 13 + 14, 10 + 11 + 14 + 15]
    assert conv(x).flatten().tolist() == sums
    assert padded_same(x, 5).shape == (1, 1, 7, 7)


ROWS = (
    *((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3)),
    *((5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)),
)
"""Table 1 of the paper: kernel, stride, expansion, channels, repeats."""


def plain_forward(weights: dict[str, Tensor], pixels: Tensor) -> list[Tensor]:
    """The network written down once more, block by block, with TensorFlow's padding spelled out."""

    def same(x: Tensor, kernel: int, stride: int) -> Tensor:
        sides = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:]]
        (down, right) = sides
        return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))

    def convolve(x: Tensor, conv: str, norm: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = weights[f"{conv}.weight"]
        y = F.conv2d(same(x, weight.shape[-1], stride), weight, stride=stride, groups=groups)
        mean, var, gamma, beta = (weights[f"{norm}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(y, mean, var, gamma, beta, eps=1e-3)

    places = ["stem.3", *(f"stages.{s}.{i}" for s, count in enumerate((2, 2, 6, 5)) for i in range(count))]
    blocks = [(k, s if i == 0 else 1, e, c) for k, s, e, c, repeats in ROWS for i in range(repeats)]
    x, maps = F.relu6(convolve(pixels, "stem.0", "stem.1", 2)), []
    for place, (kernel, stride, expansion, channels) in zip(places, blocks, strict=True):
        y, first = x, 0
        if expansion > 1:
            y, first = F.relu6(convolve(y, f"{place}.layers.0", f"{place}.layers.1")), 3
        depthwise = f"{place}.layers.{first}"
        assert weights[f"{depthwise}.weight"].shape[-1] == kernel
        y = F.relu6(convolve(y, depthwise, f"{place}.layers.{first + 1}", stride, y.shape[1]))
        y = convolve(y, f"{place}.layers.{first + 3}", f"{place}.layers.{first + 4}")
        x = x + y if stride == 1 and x.shape[1] == channels else y
        maps.append(x)
    return [maps[i] for i in (2, 4, 10, 15)]


def test_features_are_those_of_a_plain_forward_with_tensorflows_padding(
    network: EfficientNetLite0, weights: dict[str, Tensor]
) -> None:
    pixels = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        for ours, theirs in zip(network(pixels), plain_forward(weights, pixels), strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


def test_every_weight_and_no_frozen_one_learns() -> None:
    network = EfficientNetLite0(norm="bn").train()
    sum(x.square().mean() for x in network(torch.rand(2, 3, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    frozen = EfficientNetLite0()
    frozen.freeze(2)
    frozen.train()
    frozen(torch.rand(1, 3, 32, 32))[-1].sum().backward()
    without = {name for name, p in frozen.named_parameters() if p.grad is None}
    assert without == {name for name, _ in frozen.named_parameters() if name.startswith(("stem", "stages.0"))}


def test_the_bundled_weights_are_a_backbone_of_the_preset_light() -> None:
    saved = read_checkpoint(WEIGHTS)
    assert saved.config.backbone.name == preset("light").backbone.name == "efficientnet_lite0"
    assert saved.config.input.mean == preset("light").input.mean == (127 / 255,) * 3
    assert not saved.categories.ids and WEIGHTS.stat().st_size < 8_000_000
    with pytest.raises(UserError, match="a backbone without heads, which cannot predict; train from it with --init"):
        load("efficientnet_lite0")
