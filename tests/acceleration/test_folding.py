from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from maskrcnn.acceleration.folding import fold_batch_norms
from maskrcnn.build import build_model
from maskrcnn.models.norm import FrozenBatchNorm2d, conv_norm
from maskrcnn.presets import tiny


def randomise(model: nn.Module) -> nn.Module:
    """Statistics as after training, some of them tiny."""
    torch.manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, FrozenBatchNorm2d | nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(1e-4, 2.0)
                module.weight.uniform_(-0.5, 0.5)
                module.bias.normal_()
    return model.eval()


@pytest.mark.parametrize("norm", ["frozen_bn", "bn", "sync_bn"])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"groups": 2}, {"dilation": 2}])
def test_a_folded_convolution_computes_the_same(norm: str, options: dict[str, int]) -> None:
    layers = randomise(conv_norm(4, 6, 3, norm=norm, **options)).double()  # type: ignore[arg-type]
    x = torch.rand(2, 4, 9, 7, dtype=torch.double)
    before = layers(x)
    fold_batch_norms(layers)
    assert isinstance(layers[1], nn.Identity)  # type: ignore[index]
    torch.testing.assert_close(layers(x), before)


def test_a_bias_before_the_norm_is_kept() -> None:
    layers = randomise(nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)))
    x = torch.rand(1, 3, 4, 4)
    before = layers(x)
    torch.testing.assert_close(fold_batch_norms(layers)(x), before)


@pytest.mark.parametrize("norm", ["bn", "frozen_bn", "gn"])
def test_a_folded_model_finds_the_same(norm: str) -> None:
    base = tiny()
    config = replace(
        base,
        input=replace(base.input, min_size=96, max_size=160),
        backbone=replace(base.backbone, norm=norm),
        fpn=replace(base.fpn, norm="bn"),
        box_head=replace(base.box_head, score_threshold=0.0, max_detections=5),
    )
    model = randomise(build_model(config, 2))
    image = torch.rand(3, 96, 128)
    (before,) = model.predict([image])  # type: ignore[operator]
    folded = fold_batch_norms(model)
    (after,) = folded.predict([image])  # type: ignore[operator]
    left = {type(m).__name__ for m in folded.modules()} & {"BatchNorm2d", "FrozenBatchNorm2d"}
    assert not left and any(isinstance(m, nn.GroupNorm) for m in folded.modules()) == (norm == "gn")
    torch.testing.assert_close(after.boxes, before.boxes, atol=0.01, rtol=0)
    torch.testing.assert_close(after.scores, before.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(after.mask_probs, before.mask_probs, atol=1e-4, rtol=0)
