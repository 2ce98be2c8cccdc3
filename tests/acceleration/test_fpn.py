from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from maskrcnn.acceleration import choice, fpn
from maskrcnn.acceleration.folding import fold_batch_norms
from maskrcnn.acceleration.fpn import RecomputingFPN, add_upsampled
from maskrcnn.acceleration.prediction import fuse
from maskrcnn.acceleration.training import speed_up_training
from maskrcnn.build.backbones import build_trunk
from maskrcnn.kernels.winograd import ROUGH_TILES, TILES
from maskrcnn.models.fpn import FPN
from maskrcnn.presets import tiny


@pytest.mark.parametrize("size", [(8, 12), (7, 11), (8, 11)])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_the_pyramid_adds_every_coarse_cell_to_four_fine_ones(
    size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    fine, coarse = torch.randn(2, 3, *size).to(memory_format=memory_format), torch.randn(2, 3, 4, 6)
    expected = fine + torch.nn.functional.interpolate(coarse, size=size, mode="nearest")
    actual = add_upsampled(fine, coarse)
    assert torch.equal(actual, expected) and actual.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("norm", [None, "gn"])
def test_the_finest_level_takes_the_memory_of_the_map_it_is_made_from(
    monkeypatch: pytest.MonkeyPatch, norm: str | None
) -> None:
    widths = dict.fromkeys((*TILES, *ROUGH_TILES), 16)
    monkeypatch.setattr(choice, "MIN_CHANNELS", widths)  # a small model uses Winograd's algorithm as well
    monkeypatch.setattr(choice, "MIN_TILES", 0)
    monkeypatch.setattr(choice, "MIN_PRODUCTS", 0)
    torch.manual_seed(0)
    bottom_up = build_trunk(tiny()).backbone.bottom_up
    fpn = FPN(bottom_up, channels=bottom_up.channels[0], norm=norm).eval()
    pixels = torch.rand(1, 3, 128, 160).to(memory_format=torch.channels_last)
    maps: list[torch.Tensor] = []
    with torch.no_grad():
        expected = fpn(pixels)
        fused = fuse(nn.Sequential(fold_batch_norms(fpn)))[0]
        bottom_up.register_forward_hook(lambda module, inputs, outputs: maps.extend(outputs))
        actual = fused(pixels)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)
    shared = [level.data_ptr() == made_from.data_ptr() for level, made_from in zip(actual, maps, strict=False)]
    assert shared == [norm is None, False, False, False]


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

    monkeypatch.setattr(fpn, "add_upsampled", counted)
    usual = FPN(build_trunk(tiny()).backbone.bottom_up, channels=16, norm=norm).train()
    (fast,) = speed_up_training(nn.Sequential(copy.deepcopy(usual)))
    assert isinstance(fast, RecomputingFPN)
    pixels = torch.rand(2, 3, 64, 96)
    gradients = []
    for pyramid in (usual, fast):
        sum(level.square().sum() for level in pyramid(pixels)).backward()
        gradients.append({name: parameter.grad for name, parameter in pyramid.named_parameters()})
    assert sums == 3 + made_again
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(dict(fast.named_buffers()), dict(usual.named_buffers()))
