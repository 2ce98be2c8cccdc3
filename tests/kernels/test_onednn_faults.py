"""Strided 1x1 convolutions of few channels, which oneDNN's own way crashes with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from maskrcnn.kernels.onednn_faults import NarrowStridedConv2d
from maskrcnn.models.norm import conv_norm

TRAINING = """
import torch
from maskrcnn.models.backbones.resnet import ResNet, resnet_layout
for _ in range(4):
    for name, width in (("resnet18", 8), ("resnet18", 12), ("resnet50", 2)):
        network = ResNet(resnet_layout(name), norm="bn", stem_channels=64, stage_channels=width)
        network.to(memory_format=torch.channels_last)
        pixels = torch.rand(2, 3, 256, 256).contiguous(memory_format=torch.channels_last)
        sum(level.square().mean() for level in network(pixels)).backward()
        assert all(p.grad.isfinite().all() for p in network.parameters())
"""


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 1)])
def test_the_same_as_the_ordinary_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ordinary, narrow = nn.Conv2d(8, 12, 1, stride=2), NarrowStridedConv2d(8, 12, 1, stride=2)
    narrow.load_state_dict(ordinary.state_dict())
    results = []
    for conv in (ordinary, narrow):
        x = torch.arange(16.0 * size[0] * size[1]).view(2, 8, *size).sin().requires_grad_()  # not channels-last
        y = conv(x)
        y.sin().sum().backward()
        results.append((y, x.grad, conv.weight.grad, conv.bias.grad))
    for ours, theirs in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_only_where_it_is_needed() -> None:
    kinds = {
        (channels, kernel, stride): type(conv_norm(channels, 8, kernel, stride=stride, norm="bn")[0])
        for channels in (8, 16)
        for kernel in (1, 3)
        for stride in (1, 2)
    }
    assert [key for key, kind in kinds.items() if kind is NarrowStridedConv2d] == [(8, 1, 2)]


def test_narrow_networks_train() -> None:
    """In a process of its own, which checks its memory: damage shows late, and would take the tests with it."""
    environment = os.environ | {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", TRAINING], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
