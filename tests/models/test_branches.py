"""What a branch may do: a loss of its own, features that it asks for by itself, other scores; and stages in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.build import build_model, heads
from maskrcnn.build.backbones import Trunk
from maskrcnn.build.heads import build_pooler
from maskrcnn.config import Config, RoIBranchConfig
from maskrcnn.errors import UserError
from maskrcnn.models.box_head import BoxHead
from maskrcnn.models.branches import DenseBranch, RoIBranch
from maskrcnn.models.losses import Losses
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.roi_features import RoIFeatures
from maskrcnn.models.sampling import SampledRoIs
from maskrcnn.presets import tiny
from maskrcnn.structures import Detections, ImageBatch, PackedMasks, Proposals, Targets

SIZE = (96, 128)


class QualityHead(RoIBranch):
    """Learns the share of a region that its object covers, and weighs scores with it (as mask scoring does)."""

    def __init__(self, pooler: Any, in_channels: int, loss_weight: float) -> None:
        super().__init__(pooler, loss_weight)
        self.quality = nn.Linear(2 * in_channels, 1)

    def forward(self, roi_features: Tensor, context: Tensor) -> Tensor:
        return self.quality(torch.cat([roi_features.mean(dim=(2, 3)), context], dim=1))[:, 0].sigmoid()

    def loss(self, features: RoIFeatures, rois: Sequence[SampledRoIs], targets: Sequence[Targets]) -> Losses:
        rows = [slice(own.num_positives) for own in rois]
        quality = self(
            features.of_rois(self.pooler, rois, rows), self.context(features, [r.num_positives for r in rois])
        )
        truth = torch.cat([target.boxes[own.gt_indices, 0] for own, target in zip(rois, targets, strict=True)]) / 1000
        return Losses(quality=self.loss_weight * (quality - truth).square().sum())

    def predict(self, features: RoIFeatures, detections: Sequence[Detections]) -> list[Detections]:
        boxes = [found.boxes for found in detections]
        quality = self(features.of_boxes(self.pooler, boxes), self.context(features, [len(own) for own in boxes]))
        parts = quality.split([len(own) for own in boxes])
        return [replace(found, scores=found.scores * own) for found, own in zip(detections, parts, strict=True)]

    def context(self, features: RoIFeatures, counts: list[int]) -> Tensor:
        """The mean of the finest map of each region's image, which no RoIAlign gives."""
        return features.maps[0].mean(dim=(2, 3)).repeat_interleave(torch.tensor(counts), dim=0)


class ForegroundBranch(DenseBranch):
    """Whether each cell of P2 lies in a box."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def loss(self, maps: Sequence[Tensor], batch: ImageBatch, targets: Sequence[Targets]) -> Losses:
        logits = self.conv(maps[0])[:, 0]
        truth = torch.zeros_like(logits)
        for own, target in zip(truth, targets, strict=True):
            for x1, y1, x2, y2 in (target.boxes / 4).round().int().tolist():
                own[y1:y2, x1:x2] = 1
        return Losses(foreground=nn.functional.binary_cross_entropy_with_logits(logits, truth))

    def predict(self, maps: Sequence[Tensor], batch: ImageBatch, detections: Sequence[Detections]) -> list[Detections]:
        foreground = self.conv(maps[0]).sigmoid().amax(dim=(1, 2, 3))
        return [replace(found, scores=found.scores * own) for found, own in zip(detections, foreground, strict=True)]


@dataclass(frozen=True, kw_only=True)
class QualityConfig(RoIBranchConfig, name="quality_head"):
    pooled_size: int = 7


@dataclass(frozen=True, kw_only=True)
class ConfigWithQuality(Config):
    quality_head: QualityConfig = field(default_factory=lambda: QualityConfig(enabled=True))


def build_quality_head(config: Config, trunk: Trunk, num_classes: int, num_keypoints: int | None) -> QualityHead:
    assert isinstance(config, ConfigWithQuality)
    settings = config.quality_head
    return QualityHead(build_pooler(config, trunk, settings.pooled_size), trunk.roi_channels, settings.loss_weight)


def small(**sections: dict[str, Any]) -> Config:
    base = replace(tiny(), input=replace(tiny().input, min_size=96, max_size=160))
    return replace(base, **{name: replace(getattr(base, name), **values) for name, values in sections.items()})


def build(config: Config | None = None) -> MaskRCNN:
    torch.manual_seed(0)
    return build_model(small() if config is None else config, 3)


def targets() -> Targets:
    bitmaps = torch.zeros(2, *SIZE, dtype=torch.uint8)
    bitmaps[0, 10:40, 20:60] = 1
    bitmaps[1, 50:90, 70:120] = 1
    boxes = torch.tensor([[20.0, 10, 60, 40], [70, 50, 120, 90]])
    return Targets(boxes, torch.tensor([0, 2]), PackedMasks.from_bitmaps(bitmaps))


def images() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(3, *SIZE) for _ in range(2)]


def loss(model: MaskRCNN, truth: Targets | None = None) -> Losses:
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    return model.loss(images(), [targets() if truth is None else truth] * 2, generators=generators)


def test_one_section_and_one_row_add_a_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(heads.ROI_BRANCHES, "quality_head", build_quality_head)
    sections = vars(small())
    with_quality = build(ConfigWithQuality(**sections)).train()
    without = build(ConfigWithQuality(**sections, quality_head=QualityConfig(enabled=False))).train()
    assert list(with_quality.roi_branches) == ["mask_head", "quality_head"] and list(without.roi_branches) == [
        "mask_head"
    ]
    assert with_quality.state_dict().keys() - without.state_dict().keys() == {
        "quality_head.quality.weight",
        "quality_head.quality.bias",
    }
    losses, others = loss(with_quality), loss(without)
    assert losses.keys() - others.keys() == {"quality"} and all(losses[name] == others[name] for name in others)
    losses.total().backward()
    gradient = with_quality.quality_head.quality.weight.grad
    assert gradient is not None and gradient.any()
    found, expected = (model.eval().predict(images(), score_threshold=0.0) for model in (with_quality, without))
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.boxes, theirs.boxes) and torch.equal(ours.mask_probs, theirs.mask_probs)
        assert (ours.scores < theirs.scores).all()


def test_a_branch_without_a_box_head_is_refused() -> None:
    sections = vars(small(box_head={"enabled": False}, mask_head={"enabled": False}))
    with pytest.raises(UserError, match=r"quality_head\.enabled: expected false without a box head"):
        ConfigWithQuality(**sections)


def test_a_branch_bears_images_without_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(heads.ROI_BRANCHES, "quality_head", build_quality_head)
    model = build(ConfigWithQuality(**vars(small())))
    assert loss(model, Targets.empty(SIZE))["quality"] == 0
    assert all(len(found) == 0 for found in model.eval().predict(images(), score_threshold=1.0))


@pytest.mark.parametrize("alone", [False, True])
def test_a_dense_branch_reads_whole_maps(alone: bool) -> None:
    """Beside RoI branches, and beside an RPN alone."""
    base = build(small(box_head={"enabled": not alone}, mask_head={"enabled": not alone})).eval()
    parts = base.preprocess, base.backbone, base.rpn, base.box_head, base.roi_branches
    model = MaskRCNN(*parts, dense_branches={"foreground": ForegroundBranch(32)})
    losses, others = loss(model), loss(base)
    assert losses.keys() - others.keys() == {"foreground"} and all(losses[name] == others[name] for name in others)
    losses.total().backward()
    assert model.foreground.conv.weight.grad.any() and "foreground.conv.weight" in model.state_dict()
    for found, expected in zip(model.predict(images()), base.predict(images()), strict=True):
        assert torch.equal(found.boxes, expected.boxes) and (found.scores < expected.scores).all()


@pytest.mark.parametrize("part", ["objectness", "rpn_box", "classification", "box", "mask"])
def test_each_loss_has_a_weight(part: str) -> None:
    """Three times one part, and nothing else changes; a weight of 0 takes it out."""
    section, name = {
        "objectness": ("rpn", "objectness_weight"),
        "rpn_box": ("rpn", "box_weight"),
        "classification": ("box_head", "classification_weight"),
        "box": ("box_head", "box_weight"),
        "mask": ("mask_head", "loss_weight"),
    }[part]
    plain = loss(build())
    for factor in (3.0, 0.0):
        weighed = loss(build(small(**{section: {name: factor}})))
        assert weighed[part] == factor * plain[part] != plain[part]
        assert all(weighed[other] == plain[other] for other in plain if other != part)
    with pytest.raises(UserError, match=rf"{section}\.{name}: expected a number from 0 to "):
        small(**{section: {name: -1.0}})


class Cascade(nn.Module):
    """Box heads in a row, each learning from and working on the boxes of the one before (Cai & Vasconcelos 2018)."""

    def __init__(self, stages: Sequence[BoxHead]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def loss(
        self, features: RoIFeatures, regions: Sequence[Proposals], targets: Sequence[Targets], generators: Sequence[Any]
    ) -> tuple[Losses, list[SampledRoIs]]:
        losses = Losses()
        for i, stage in enumerate(self.stages):
            parts, rois = stage.loss(features, regions, targets, generators)
            losses |= {f"{name}_{i}": part for name, part in parts.items()}
            regions = [Proposals(own.boxes.detach() + 1, torch.zeros(len(own.boxes))) for own in rois]
        return losses, rois

    def predict(
        self, features: RoIFeatures, regions: Sequence[Proposals], batch: ImageBatch, *limits: Any
    ) -> list[Detections]:
        for stage in self.stages:
            found = stage.predict(features, regions, batch, *limits)
            regions = [Proposals(own.boxes, own.scores) for own in found]
        return found


def test_box_heads_in_a_row() -> None:
    """A stage's RoIs are cut out anew, even where a later branch would take those of the last one."""
    first, second = build(small(mask_head={"pooled_size": 7})), build()
    assert first.box_head is not None and second.box_head is not None
    stages: Any = Cascade([first.box_head, second.box_head])
    model = MaskRCNN(first.preprocess, first.backbone, first.rpn, stages, first.roi_branches).train()
    losses = loss(model)
    assert set(losses) == {
        *("objectness", "rpn_box", "classification_0", "box_0", "classification_1", "box_1", "mask"),
    }
    losses.total().backward()
    assert all(p.grad is not None and p.grad.any() for p in stages.parameters())
    assert all(found.mask_probs.shape[1:] == (14, 14) for found in model.eval().predict(images(), score_threshold=0.0))


def test_kept_features_are_those_of_the_very_rois() -> None:
    """Other RoIs of the same number, as of another stage, are cut out for themselves."""
    model = build(small(mask_head={"pooled_size": 7})).eval()
    assert model.box_head is not None
    maps, pooler = model.backbone(torch.rand(1, 3, 64, 64)), model.box_head.pooler
    boxes = torch.tensor([[3.0, 4, 40, 50], [8, 8, 30, 20]])
    first, second = (
        [SampledRoIs(own, torch.zeros(2), torch.zeros(0).long(), torch.zeros(0, 4))] for own in (boxes, boxes + 5)
    )
    features = model.roi_features(maps)
    whole = features.of_rois(pooler, first)
    rows = [torch.tensor([1])]
    assert torch.equal(features.of_rois(pooler, first, rows), whole[1:])
    assert torch.equal(features.of_rois(pooler, second, rows), features.of_boxes(pooler, [boxes[1:] + 5]))


def test_forward_passes_everything_on() -> None:
    """What a wrapper such as DDP calls."""
    model = build(small(rpn={"enabled": False}))
    given = [torch.cat([targets().boxes, targets().boxes + 8])] * 2
    generators = [[torch.Generator().manual_seed(i) for i in range(2)] for _ in range(2)]
    losses = model(images(), [targets()] * 2, given, generators[0])
    expected = model.loss(images(), [targets()] * 2, proposals=given, generators=generators[1])
    assert losses.keys() == expected.keys() and all(losses[name] == expected[name] for name in losses)
    (found, _), (same, _) = model.eval()(images(), None, given), model.predict(images(), proposals=given)
    assert torch.equal(found.boxes, same.boxes)
