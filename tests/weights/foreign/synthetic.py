"""State dicts of other libraries' models, as large or small as a test likes, with random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

State = dict[str, Tensor]


def torchvision_resnet(blocks: tuple[int, ...], *, width: int = 8, bottleneck: bool = True, prefix: str = "") -> State:
    """A torchvision ResNet without its classifier; `width` of the stem and of stage 2."""
    state = {f"{prefix}conv1.weight": _random(width, 3, 7, 7), **_norm(f"{prefix}bn1", width)}
    channels = width
    for stage, count in enumerate(blocks):
        inner = width * 2**stage
        outer = inner * 4 if bottleneck else inner
        for block in range(count):
            name = f"{prefix}layer{stage + 1}.{block}"
            shapes = [(inner, channels, 1), (inner, inner, 3), (outer, inner, 1)]
            if not bottleneck:
                shapes = [(inner, channels, 3), (inner, inner, 3)]
            for i, (out, into, side) in enumerate(shapes, start=1):
                state[f"{name}.conv{i}.weight"] = _random(out, into, side, side)
                state |= _norm(f"{name}.bn{i}", out)
            if block == 0 and (stage > 0 or channels != outer):
                state[f"{name}.downsample.0.weight"] = _random(outer, channels, 1, 1)
                state |= _norm(f"{name}.downsample.1", outer)
            channels = outer
    return state


def torchvision_detector(slots: int, *, blocks: tuple[int, ...] = (2, 2, 2, 2), channels: int = 8) -> State:
    """A torchvision Mask R-CNN on a narrow ResNet-18 with this many outputs, the background's included."""
    state = torchvision_resnet(blocks, bottleneck=False, prefix="backbone.body.")
    for i, into in enumerate((8, 16, 32, 64)):
        state |= _layer(f"backbone.fpn.inner_blocks.{i}.0", channels, into, 1, 1)
        state |= _layer(f"backbone.fpn.layer_blocks.{i}.0", channels, channels, 3, 3)
    for name, out, side in (("conv.0.0", channels, 3), ("cls_logits", 3, 1), ("bbox_pred", 12, 1)):
        state |= _layer(f"rpn.head.{name}", out, channels, side, side)
    state |= _layer("roi_heads.box_head.fc6", 16, channels * 49)
    state |= _layer("roi_heads.box_head.fc7", 16, 16)
    state |= _layer("roi_heads.box_predictor.cls_score", slots, 16)
    state |= _layer("roi_heads.box_predictor.bbox_pred", 4 * slots, 16)
    for i in range(4):
        state |= _layer(f"roi_heads.mask_head.{i}.0", channels, channels, 3, 3)
    state["roi_heads.mask_predictor.conv5_mask.weight"] = _random(channels, channels, 2, 2)
    state["roi_heads.mask_predictor.conv5_mask.bias"] = _random(channels)
    return state | _layer("roi_heads.mask_predictor.mask_fcn_logits", slots, channels, 1, 1)


def _layer(name: str, *shape: int) -> State:
    return {f"{name}.weight": _random(*shape), f"{name}.bias": _random(shape[0])}


def _norm(name: str, channels: int) -> State:
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": _random(channels) for kind in kinds}


def _random(*shape: int) -> Tensor:
    return torch.rand(shape)
