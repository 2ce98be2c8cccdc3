"""Layers in the forms that engines compute fastest give what the network's own give."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from export.exported import network_of, small
from export.test_network import light
from maskrcnn.config import Config
from maskrcnn.export.layers import BLOCK, PlainMaskHead, rewrite_layers
from maskrcnn.export.network import propose
from maskrcnn.export.recording import plain_copy
from maskrcnn.models.fpn import FPN
from maskrcnn.models.mask_head import FCNMaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN


def with_backbone(name: str, norm: str = "frozen_bn") -> Config:
    base = small()
    return replace(base, backbone=replace(base.backbone, name=name, norm=norm))


def made(config: Config, spread: float = 60) -> MaskRCNN:
    """Also what networks begin with as zeros is random: biases, and means of norms."""
    network = network_of(config, spread=spread)
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in tensors.items():
            if name.endswith((".bias", ".running_mean")):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return network


def convolutions(config: Config) -> tuple[FPN, FPN, list[nn.Conv2d]]:
    """The pyramid as it is and rewritten, and the convolutions below the second."""
    network = made(config)
    plain, rewritten = plain_copy(network), rewrite_layers(plain_copy(network))
    assert isinstance(plain.backbone, FPN) and isinstance(rewritten.backbone, FPN)
    bottom_up = rewritten.backbone.bottom_up
    assert isinstance(bottom_up, nn.Module)
    return plain.backbone, rewritten.backbone, [own for own in bottom_up.modules() if isinstance(own, nn.Conv2d)]


@pytest.mark.parametrize("config", [with_backbone("resnet18"), with_backbone("resnet50"), light()])
def test_whole_blocks_of_channels_change_nothing(config: Config) -> None:
    plain, rewritten, convs = convolutions(config)
    assert all(conv.out_channels % BLOCK == 0 for conv in convs)
    assert [conv.in_channels % BLOCK for conv in convs] == [3] + [0] * (len(convs) - 1)
    for conv in convs:
        assert conv.weight.shape[:2] == (conv.out_channels, conv.in_channels // conv.groups)
    pixels = torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        expected, found = plain.double()(pixels), rewritten.double()(pixels)
    for own, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, own, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("config", [with_backbone("resnet18", "gn"), with_backbone("resnext50_32x4d")])
def test_what_goes_by_the_number_of_channels_is_left_as_it_is(config: Config) -> None:
    config = replace(config, resnet=replace(config.resnet, stem_channels=24, stage_channels=32))
    plain, rewritten, convs = convolutions(config)
    assert any(conv.out_channels % BLOCK for conv in convs)
    assert [own.shape for own in rewritten.parameters()] == [own.shape for own in plain.parameters()]


@pytest.mark.parametrize("regions", [0, 1, 5])
@pytest.mark.parametrize("settings", [{}, {"class_agnostic": True}, {"loss": "softmax"}])
def test_masks_without_a_deconvolution(settings: dict[str, object], regions: int) -> None:
    base = small()
    network = made(replace(base, mask_head=replace(base.mask_head, **settings)))  # type: ignore[arg-type]
    head = network.mask_head
    assert type(head) is FCNMaskHead
    rewritten = rewrite_layers(plain_copy(network)).mask_head
    assert isinstance(rewritten, PlainMaskHead)
    features = torch.rand((regions, 16, 14, 10), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(regions) % 2
    with torch.no_grad():
        masks = rewritten(features, labels)
        torch.testing.assert_close(masks, head(features, labels), atol=1e-4, rtol=1e-5)
    assert masks.shape == (regions, 28, 20)


@pytest.mark.parametrize("most", [1, 7, 60, 500])
def test_no_proposal_is_lost_where_levels_need_not_be_looked_at_whole(most: int) -> None:
    """Limits below and above what a single level keeps, images that differ, and anchors that score nearly alike."""
    network = plain_copy(made(small(), spread=0.01))
    rpn = network.rpn
    assert rpn is not None
    rpn.test_limits = replace(rpn.test_limits, post_nms_top_k=most)
    bright = torch.rand((2, 3, 96, 128), generator=torch.Generator().manual_seed(1)) * 255
    bright[1, :, :, 40:] = 0  # a plain region: the same score many times
    batch = network.preprocess.prepare(list(bright))
    with torch.no_grad():
        features = network.backbone(batch.pixels)
        expected = rpn.select(rpn(features, batch.pixels.shape[-2:]), batch, rpn.test_limits)
        found = propose(rpn, features, batch.pixels, torch.tensor(batch.sizes).float())
    assert found.images.tolist() == [i for i, own in enumerate(expected) for _ in range(len(own.boxes))]
    torch.testing.assert_close(found.boxes, torch.cat([own.boxes for own in expected]), atol=1e-3, rtol=0)
    scores = found.scores[found.images, found.ranks]
    torch.testing.assert_close(scores, torch.cat([own.objectness_logits for own in expected]), atol=1e-6, rtol=0)
