from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskrcnn.acceleration import choice, layers, prediction
from maskrcnn.acceleration.folding import fold_batch_norms
from maskrcnn.acceleration.layers import FusedBlock, FusedConv2d, FusedLinear
from maskrcnn.acceleration.prediction import cast_weights, fuse
from maskrcnn.build import build_model
from maskrcnn.kernels.convolution import computes_in, sorted_for
from maskrcnn.kernels.winograd import ROUGH_TILES, TILES, transforming_once
from maskrcnn.models.backbones.resnet import ResidualBlock
from maskrcnn.models.box_head import BoxTrunk
from maskrcnn.models.rpn import RPNHead
from maskrcnn.presets import PRESETS, tiny


def test_relu_and_shortcut_move_into_the_convolutions() -> None:
    model = fuse(fold_batch_norms(build_model(tiny(), 2).eval()))
    assert {type(m) for m in model.modules()}.isdisjoint({nn.Conv2d, ResidualBlock})
    assert not any(isinstance(m, nn.ReLU) for m in model.backbone.modules())
    blocks = [m for m in model.modules() if isinstance(m, FusedBlock)]
    assert len(blocks) == 8 and all(block.last.relu for block in blocks)  # ResNet-18


@pytest.mark.parametrize("norm", ["frozen_bn", "gn"])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_a_fused_model_finds_the_same(
    monkeypatch: pytest.MonkeyPatch, transformed_for: list[int], norm: str, backbone: str
) -> None:
    widths = dict.fromkeys((*TILES, *ROUGH_TILES), 16)
    monkeypatch.setattr(choice, "MIN_CHANNELS", widths)  # a small model uses Winograd's algorithm as well
    monkeypatch.setattr(choice, "MIN_TILES", 0)
    monkeypatch.setattr(choice, "MIN_PRODUCTS", 0)
    torch.manual_seed(0)
    base = tiny()
    config = replace(
        base,
        input=replace(base.input, min_size=96, max_size=160),
        backbone=replace(base.backbone, name=backbone, norm=norm),
        box_head=replace(base.box_head, score_threshold=0.0, max_detections=5),
    )
    model = build_model(config, 2).eval()
    image = torch.rand(3, 96, 128)
    (before,) = model.predict([image])
    fused = fuse(fold_batch_norms(model))
    (after,) = fused.predict([image])
    assert transformed_for
    torch.testing.assert_close(after.boxes, before.boxes, atol=0.01, rtol=0)
    torch.testing.assert_close(after.scores, before.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(after.mask_probs, before.mask_probs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("norm", ["frozen_bn", "gn"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_lower_precision_finds_nearly_the_same(norm: str, dtype: torch.dtype) -> None:
    """With rounded weights where oneDNN has this precision, elsewhere by autocast alone; as near as by autocast."""
    torch.manual_seed(0)
    base = tiny()
    config = replace(
        base,
        input=replace(base.input, min_size=96, max_size=160),
        backbone=replace(base.backbone, name="resnet50", norm=norm),
        box_head=replace(base.box_head, score_threshold=0.0, max_detections=5),
    )
    model = fuse(fold_batch_norms(build_model(config, 2).eval()))
    image = torch.rand(3, 96, 128)
    pixels = torch.rand(1, 3, 96, 128).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        exact = model.backbone(pixels)
        with torch.autocast("cpu", dtype):
            usual = model.backbone(pixels)
            cast_weights(model, dtype)
            actual = model.backbone(pixels)
            (found,) = model.predict([image])
    layers = [m for m in model.modules() if isinstance(m, FusedConv2d | FusedLinear | nn.ConvTranspose2d)]
    assert {layer.weight.dtype for layer in layers} == {dtype if computes_in(dtype) else torch.float32}
    assert found.boxes.dtype == found.scores.dtype == torch.float32 and len(found) == 5
    for level, by_autocast, expected in zip(actual, usual, exact, strict=True):
        assert level.dtype == dtype
        assert (level.float() - expected).norm() < 1.5 * (by_autocast.float() - expected).norm()


def test_without_a_lower_precision_the_weights_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "computes_in", lambda dtype: False)
    layer = cast_weights(nn.Sequential(FusedConv2d(nn.Conv2d(3, 4, 1), relu=False)), torch.bfloat16)[0]
    assert layer.weight.dtype == torch.float32
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.rand(1, 3, 5, 5)).dtype == torch.bfloat16


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_fused(preset: str) -> None:
    """On no device, so that size does not matter: every plain convolution is replaced."""
    with torch.device("meta"):
        config = PRESETS[preset]()
        model = build_model(config, 3, 5 if config.keypoint_head.enabled else None)
        fuse(fold_batch_norms(model.eval()))
    assert not any(type(m) is nn.Conv2d for m in model.modules())


def test_the_parameters_are_shared_not_copied_and_survive_copying() -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1)
    fused = FusedConv2d(conv, relu=True)
    assert fused.weight is conv.weight and list(fused.state_dict()) == ["weight", "bias"]
    x = torch.rand(1, 3, 5, 5)
    for twin in (copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))):
        torch.testing.assert_close(twin(x), conv(x).relu())


def test_rounded_weights_are_sorted_for_the_second_input_of_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """And anew when another size has come, or other values; copies begin anew."""
    if not computes_in(torch.bfloat16):
        pytest.skip("oneDNN has no bfloat16 on this processor")
    sizes: list[tuple[int, ...]] = []

    def counted(size: torch.Size, *arguments: Any) -> torch.Tensor:
        sizes.append(tuple(size[2:]))
        return sorted_for(size, *arguments)

    monkeypatch.setattr(layers, "sorted_for", counted)
    torch.manual_seed(0)
    layer = cast_weights(nn.Sequential(FusedConv2d(nn.Conv2d(32, 64, 3, padding=1), relu=True)), torch.bfloat16)[0]
    inputs = {side: torch.randn(1, 32, side, side) for side in (9, 20)}

    def check(side: int, layer: nn.Module) -> None:
        x = inputs[side].bfloat16().float()
        with torch.no_grad():
            expected = F.conv2d(x, layer.weight.float(), layer.bias.float(), padding=1).relu()
            torch.testing.assert_close(layer(inputs[side]).float(), expected, atol=0.02, rtol=0.01)

    for side in (9, 9, 9, 20, 9, 9):
        check(side, layer)
    assert sizes == [(9, 9), (9, 9)]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        check(9, twin)
    with torch.no_grad():
        layer.weight.mul_(-1)
    check(9, layer)
    check(9, layer)
    assert sizes == [(9, 9)] * 3


def test_rounded_weights_may_be_made_in_inference_mode() -> None:
    """Their changes are not counted."""
    with torch.inference_mode():
        layer = cast_weights(nn.Sequential(FusedConv2d(nn.Conv2d(3, 4, 1), relu=False)), torch.bfloat16)[0]
        x = torch.rand(1, 3, 5, 5).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            first, *others = (layer(x) for _ in range(3))
    assert first.dtype == torch.bfloat16
    for other in others:
        torch.testing.assert_close(other, first)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("roi_size", [(7, 7), (7, 3)])
def test_the_first_linear_layer_reads_features_as_they_lie_in_memory(
    roi_size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    trunk = BoxTrunk(8, roi_size, fc_channels=16)
    x = torch.rand(5, 8, *roi_size).to(memory_format=memory_format)
    with torch.no_grad():
        expected = trunk(x)
        fused = fuse(nn.Sequential(trunk))
        torch.testing.assert_close(fused(x), expected)
    assert sum(isinstance(m, FusedLinear) and m.relu for m in fused.modules()) == 2


def test_other_paddings_stay() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.ReLU())
    x = torch.randn(1, 1, 6, 6)
    before = layers(x)
    assert torch.equal(fuse(layers)(x), before)


@pytest.mark.parametrize("num_convs", [1, 2])
@pytest.mark.parametrize("side", [6, 72], ids=["direct", "Winograd's algorithm"])
def test_the_rpn_outputs_join_the_convolution_before_them(
    transformed_for: list[int], num_convs: int, side: int
) -> None:
    """On the larger maps by Winograd's algorithm; weights are transformed once for all levels."""
    torch.manual_seed(0)
    head = RPNHead(96, 3, num_convs)
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.05)
    levels = [torch.rand(2, 96, side, side + 1), torch.rand(2, 96, side, side)]
    with torch.no_grad():
        expected = head(levels)
        (fused,) = fuse(nn.Sequential(head))
        actual = fused(levels)
    assert transformed_for == ([6] * num_convs if side == 72 else [])
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_an_rpn_head_of_its_outputs_alone_finds_the_same() -> None:
    torch.manual_seed(0)
    head, levels = RPNHead(8, 3, num_convs=0), [torch.rand(1, 8, 4, 5)]
    with torch.no_grad():
        expected = head(levels)
        torch.testing.assert_close(fuse(nn.Sequential(head))[0](levels), expected)


def test_weights_of_wide_convolutions_lie_channels_last_where_they_were() -> None:
    conv = nn.Conv2d(64, 96, 3, padding=1)
    before, address = conv.weight.detach().clone(), conv.weight.data_ptr()
    for _ in range(2):  # the second time, nothing is left to do
        (fused,) = fuse(nn.Sequential(conv))
        assert torch.equal(fused.weight, before) and fused.weight.data_ptr() == address
        assert fused.weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_are_transformed_for_one_use_or_once_for_many(transformed_for: list[int]) -> None:
    conv = FusedConv2d(nn.Conv2d(96, 96, 3, padding=1), relu=False).requires_grad_(False)
    x = torch.rand(1, 96, 72, 72)
    with torch.no_grad():
        expected = F.conv2d(x, conv.weight, conv.bias, padding=1)
        for _ in range(2):
            torch.testing.assert_close(conv(x), expected, atol=1e-4, rtol=0)
        assert transformed_for == [4, 4]
        with transforming_once():
            for _ in range(2):
                torch.testing.assert_close(conv(x), expected, atol=1e-4, rtol=0)
        assert transformed_for == [4, 4, 4]
