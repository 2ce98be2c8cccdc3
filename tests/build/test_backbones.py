"""Names become modules, and settings that a part does not have are an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.build import backbones, build_model, build_model_without_memory
from maskrcnn.build.backbones import BackboneFamily, build_backbone, build_trunk
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.backbones.backbone import StagedBackbone
from maskrcnn.models.norm import conv_norm


def config(**sections: dict[str, Any]) -> Config:
    base = Config()
    return replace(base, **{name: replace(getattr(base, name), **values) for name, values in sections.items()})


class Pooled(nn.Module):
    """A backbone without stages and norms."""

    channels = (8, 8, 8, 8)
    strides = (4, 8, 16, 32)

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 8, 1)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x = self.conv(pixels)
        return [nn.functional.avg_pool2d(x, stride, ceil_mode=True) for stride in self.strides]


def plain(in_channels: int, norm: str) -> StagedBackbone:
    """A backbone with stages, whose norm can be chosen."""
    widths = (8, 16, 24, 32, 40)
    stages = [conv_norm(widths[i], widths[i + 1], 3, stride=2, norm=norm) for i in range(4)]
    return StagedBackbone(conv_norm(in_channels, 8, 3, stride=2, norm=norm), stages, widths[1:], (4, 8, 16, 32))


@pytest.fixture(autouse=True)
def two_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pooled = BackboneFamily(lambda config: Pooled(config.input.channels))
    staged = BackboneFamily(lambda config: plain(config.input.channels, config.backbone.norm), ("backbone.norm",))
    monkeypatch.setattr(backbones, "BACKBONES", {**backbones.BACKBONES, "pooled": pooled, "plain*": staged})


@pytest.mark.parametrize("name", ["pooled", "plain", "plainer"])
@pytest.mark.parametrize("features", ["fpn", "c5", "image"])
def test_a_row_of_the_table_makes_a_backbone_for_everything(name: str, features: str) -> None:
    anchors = {"sizes": ((8.0,),) * 5} if features == "fpn" else {"sizes": ((8.0,),)}
    changed = config(
        backbone={"name": name, "features": features},
        anchors=anchors,
        rpn={"enabled": features != "image"},
        fpn={"channels": 16},
        box_head={"pooled_size": 64 if features == "image" else 7, "fc_channels": 8},
        mask_head={"enabled": False},
    )
    boxes = [torch.tensor([[3.0, 4, 40, 50]])] if features == "image" else None
    (found,) = build_model(changed, 2).eval().predict([torch.rand(3, 64, 96)], proposals=boxes, score_threshold=0.0)
    assert len(found) > 0


def test_c4_takes_the_last_stage_of_any_backbone_with_stages() -> None:
    trunk = build_trunk(config(backbone={"name": "plain", "features": "c4"}, anchors={"sizes": ((8.0,),)}))
    assert trunk.roi_layers is not None and (trunk.roi_channels, trunk.roi_shrink, trunk.strides) == (40, 2, (16,))
    (features,) = trunk.backbone(torch.rand(1, 3, 64, 64))
    assert features.shape == (1, 32, 4, 4) and trunk.roi_layers(features).shape == (1, 40, 2, 2)


def test_stages_are_frozen_with_their_statistics() -> None:
    network = build_backbone(config(backbone={"name": "plain", "norm": "bn", "frozen_stages": 2}))
    assert isinstance(network, StagedBackbone)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()(torch.rand(2, 3, 64, 64))[-1].sum().backward()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and not any(name.startswith(("stem", "stages.0")) for name in moved)
    assert {n for n, p in network.named_parameters() if p.grad is None} == {
        n for n, _ in network.named_parameters() if n.startswith(("stem", "stages.0"))
    }


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"backbone": {"name": "vgg16"}},
            r"backbone\.name: expected one of resne\[tx\]\*, efficientnet_lite0, pooled, plain\*.*got 'vgg16'",
        ),
        ({"backbone": {"name": "resnet17"}}, r"backbone\.name: expected one of resnet18, .*got 'resnet17'"),
        ({"backbone": {"name": "pooled", "norm": "gn"}}, r"backbone\.norm: expected its default, frozen_bn.*got gn"),
        (
            {"backbone": {"name": "plain"}, "resnet": {"stage5_stride": 1}},
            r"resnet\.stage5_stride: expected its default, 2, since the backbone plain has no such setting; got 1",
        ),
        ({"backbone": {"name": "pooled", "frozen_stages": 1}}, r"backbone\.frozen_stages: .*no separate stages; got 1"),
        (
            {"backbone": {"name": "pooled", "features": "c4"}, "anchors": {"sizes": ((8.0,),)}},
            r"backbone\.features: expected its default.*no separate stages; got 'c4'",
        ),
        (
            {"resnet": {"stage5_stride": 1}},
            r"backbone\.features: a pyramid.*strides double.*got strides \(4, 8, 16, 16\)",
        ),
    ],
)
def test_what_a_backbone_cannot_do_is_one_clear_line(sections: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_trunk(config(**sections))


def test_the_whole_of_c4s_backbone_cannot_be_frozen() -> None:
    with pytest.raises(UserError, match=r"backbone\.frozen_stages: expected 0 to 4 where backbone.features is c4"):
        config(backbone={"features": "c4", "frozen_stages": 5})


@pytest.mark.parametrize("features", ["fpn", "image"])
def test_pixels_may_have_any_number_of_channels(features: str) -> None:
    changed = config(
        input={"channels": 4, "mean": (0.0,) * 4, "std": (1.0,) * 4, "min_size": 64},
        backbone={"name": "resnet18", "features": features},
        resnet={"stem_channels": 8},
        rpn={"enabled": False},
        box_head={"pooled_size": 32, "num_fcs": 0},
        mask_head={"enabled": False},
    )
    model = build_model(changed, 2).eval()
    boxes = [torch.tensor([[3.0, 4, 40, 50]])]
    (found,) = model.predict([torch.rand(4, 64, 64)], proposals=boxes, score_threshold=0.0)
    assert len(found) > 0
    with pytest.raises(UserError, match="expected 4 channel"):
        model.predict([torch.rand(3, 64, 64)], proposals=boxes)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_mean_and_spread_have_a_number_for_each_channel(name: str) -> None:
    with pytest.raises(UserError, match=rf"input\.{name}: expected 3 number\(s\), one for each of input.channels"):
        config(input={name: (0.5,)})


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
def test_the_rule_by_which_roi_pool_rounds(rounding: str) -> None:
    chosen = config(roi={"operator": "pool", "pool_rounding": rounding})
    head = build_model_without_memory(chosen, 2).box_head
    assert head is not None and head.pooler.options.rounding == rounding
