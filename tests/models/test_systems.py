"""The members of the family: the same model with parts left out, moved or exchanged."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskrcnn.build import build_model
from maskrcnn.config import Config, KeypointHeadConfig
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.ops.roi_align import roi_align
from maskrcnn.ops.roi_options import RoIOperator
from maskrcnn.ops.roi_pool import roi_pool
from maskrcnn.ops.roi_warp import roi_warp
from maskrcnn.presets import tiny
from maskrcnn.structures import PackedMasks, Targets

SIZE = (96, 128)
BOXES = torch.tensor([[20.0, 10, 60, 40], [70, 50, 120, 90]])
ONE_LEVEL = ((16.0, 32.0, 64.0),)


def config(**sections: dict[str, object]) -> Config:
    """`tiny` at 96 pixels, with settings of its sections replaced."""
    base = replace(tiny(), input=replace(tiny().input, min_size=96, max_size=160))
    return replace(base, **{name: replace(getattr(base, name), **values) for name, values in sections.items()})


def one_level(features: str, *, norm: str = "bn", **resnet: object) -> Config:
    """A model without pyramid."""
    return config(
        backbone={"features": features, "name": "resnet50", "norm": norm},
        resnet={"stem_channels": 8, **resnet},
        anchors={"sizes": ONE_LEVEL},
        box_head={"pooled_size": 14 if features == "c4" else 7, "num_fcs": 0 if features == "c4" else 2},
        mask_head={"num_convs": 0 if features == "c4" else 1},
    )


SYSTEMS: dict[str, Config] = {
    "mask r-cnn, fpn": config(),
    "mask r-cnn, c4": one_level("c4"),
    "mask r-cnn, c4, stride 1": one_level("c4", stage5_stride=1),
    "mask r-cnn, c5": one_level("c5"),
    "mask r-cnn, dilated c5": one_level("c5", stage5_stride=1, stage5_dilation=2),
    "faster r-cnn": config(mask_head={"enabled": False}),
    "rpn alone": config(box_head={"enabled": False}, mask_head={"enabled": False}),
    "fast r-cnn": config(rpn={"enabled": False}, mask_head={"enabled": False}),
    "mask branch without rpn": config(rpn={"enabled": False}),
    "r-cnn": config(
        backbone={"features": "image"},
        rpn={"enabled": False},
        box_head={"pooled_size": 64, "num_fcs": 0},
        mask_head={"enabled": False},
    ),
    "torchvision's second": config(
        rpn={"num_convs": 2},
        fpn={"norm": "bn"},
        box_head={"num_convs": 4, "num_fcs": 1, "conv_channels": 16, "norm": "bn"},
        mask_head={"norm": "bn"},
    ),
    "mlp masks": config(mask_head={"kind": "mlp", "fc_channels": 16}),
    "bins that are not square": config(box_head={"pooled_size": (5, 7)}, mask_head={"pooled_size": (14, 10)}),
    "mlp masks that are not square": config(mask_head={"kind": "mlp", "fc_channels": 16, "pooled_size": (6, 10)}),
    "softmax masks": config(mask_head={"loss": "softmax"}),
    "softmax mlp masks": config(mask_head={"kind": "mlp", "fc_channels": 16, "loss": "softmax"}),
    "roipool": config(roi={"operator": "pool"}),
    "roiwarp, max": config(roi={"operator": "warp", "reduce": "max"}),
    "class-agnostic softmax masks": config(mask_head={"loss": "softmax", "class_agnostic": True}),
}


def build(name: str, num_classes: int = 3) -> MaskRCNN:
    torch.manual_seed(0)
    return build_model(SYSTEMS[name], num_classes)


def targets() -> Targets:
    bitmaps = torch.zeros(2, *SIZE, dtype=torch.uint8)
    bitmaps[0, 10:40, 20:60] = 1
    bitmaps[1, 50:90, 70:120] = 1
    return Targets(BOXES, torch.tensor([0, 2]), PackedMasks.from_bitmaps(bitmaps))


def given(model: MaskRCNN, count: int = 1) -> list[torch.Tensor] | None:
    return None if model.rpn is not None else [torch.cat([BOXES, BOXES + 8, BOXES - 30])] * count


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_learns_with_all_its_parameters(name: str) -> None:
    model = build(name).train()
    losses = model.loss(
        [torch.rand(3, *SIZE)] * 2,
        [targets()] * 2,
        proposals=given(model, 2),
        generators=[torch.Generator().manual_seed(0)] * 2,
    )
    parts: set[str] = set()
    if model.rpn is not None:
        parts |= {"objectness", "rpn_box"}
    if model.box_head is not None:
        parts |= {"classification", "box"}
    if "mask_head" in model.roi_branches:
        parts |= {"mask"}
    assert set(losses) == parts
    losses.total().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    if model.rpn is None:  # these few regions do not read every level of the pyramid
        without = [name for name in without if not name.startswith("backbone.output")]
    assert without == []


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_predicts_in_the_original_frame(name: str) -> None:
    model = build(name).eval()
    boxes = None if model.rpn is not None else [b * 2 for b in given(model) or []]
    (found,) = model.predict([torch.rand(3, 192, 256)], proposals=boxes, score_threshold=0.0, max_detections=7)
    assert found.image_size == (192, 256) and len(found) > 0
    assert found.boxes[:, 2].max() <= 256 and found.boxes[:, 3].max() <= 192 and found.boxes[:, 2:].max() > 128
    assert (found.mask_probs is not None) == ("mask_head" in model.roi_branches)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    if model.box_head is None:
        assert set(found.labels.tolist()) == {0}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_bears_an_image_without_anything(name: str) -> None:
    model = build(name)
    nothing = None if model.rpn is not None else [torch.zeros(0, 4)]
    losses = model.loss(
        [torch.rand(3, *SIZE)], [Targets.empty(SIZE)], proposals=nothing, generators=[torch.Generator().manual_seed(0)]
    )
    losses.total().backward()
    assert losses.total().isfinite()
    assert len(model.eval().predict([torch.rand(3, *SIZE)], proposals=nothing, score_threshold=1.0)) == 1


def test_masks_of_c4_are_14_wide_and_of_fpn_28() -> None:
    for name, side in (
        ("mask r-cnn, c4", 14),
        ("mask r-cnn, c4, stride 1", 28),
        ("mask r-cnn, fpn", 28),
        ("mask r-cnn, dilated c5", 28),
    ):
        (found,) = build(name).eval().predict([torch.rand(3, *SIZE)], score_threshold=0.0, max_detections=2)
        assert found.mask_probs is not None and found.mask_probs.shape[-1] == side


def test_stage_5_of_c4_runs_once_for_all_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other branches take their rows of what the box branch saw; losses and gradients are those of three runs."""
    torch.manual_seed(0)
    settings = one_level("c4", norm="frozen_bn")
    settings = replace(settings, keypoint_head=KeypointHeadConfig(enabled=True, num_convs=1, channels=8))
    model = build_model(settings, 3, num_keypoints=2).train()
    counts: list[int] = []
    model.roi_layers.register_forward_hook(lambda module, inputs, output: counts.append(len(output)))
    images = [torch.rand(3, *SIZE) for _ in range(2)]
    points = torch.tensor([[[30.0, 20, 2], [50, 30, 1]], [[0, 0, 0], [0, 0, 0]]])  # the second object has none
    truth = [replace(targets(), keypoints=points)] * 2
    results = []
    for way in ("once", "each"):
        losses = model.loss(images, truth, generators=[torch.Generator().manual_seed(0)] * 2)
        losses.total().backward()
        results.append((losses, {name: p.grad for name, p in model.named_parameters()}))
        model.zero_grad()
        monkeypatch.setattr(RoIPooler, "cuts_like", lambda self, other: False)
        assert len(counts) == {"once": 1, "each": 4}[way]
    assert counts[0] == counts[1] > counts[2] > counts[3] > 0
    (losses_once, grads_once), (losses_each, grads_each) = results
    torch.testing.assert_close(losses_once, losses_each, atol=1e-6, rtol=1e-5)
    del grads_once["keypoint_head.upsample.bias"]  # which a softmax over space does not see: rounding alone
    for name, gradient in grads_once.items():
        assert (gradient - grads_each[name]).norm() <= 1e-4 * gradient.norm(), name


def test_a_mask_branch_without_masks_is_one_clear_line() -> None:
    model, without = build("mask r-cnn, fpn"), replace(targets(), masks=None)
    images = [torch.rand(3, *SIZE)] * 2
    for batch in ([without, without], [targets(), without]):
        with pytest.raises(UserError, match=r"expected a mask for each object.*got 2 object.*mask_head\.enabled=false"):
            model.loss(images, batch)
    nothing = replace(Targets.empty(SIZE), masks=None)
    assert model.loss(images, [nothing, nothing]).total().isfinite()


@pytest.mark.parametrize(
    ("name", "operator", "reduce"),
    [("mask r-cnn, fpn", roi_align, "mean"), ("roipool", roi_pool, "mean"), ("roiwarp, max", roi_warp, "max")],
)
def test_both_heads_cut_out_their_features_as_the_settings_say(name: str, operator: RoIOperator, reduce: str) -> None:
    model = build(name)
    assert model.box_head is not None
    for pooler in (model.box_head.pooler, model.mask_head.pooler):
        assert pooler.operator is operator and pooler.options.reduce == reduce


def test_c4_shares_stage_5_and_dilation_keeps_its_resolution() -> None:
    c4, c5, dc5 = (build(f"mask r-cnn, {kind}") for kind in ("c4", "c5", "dilated c5"))
    pixels = torch.rand(1, 3, 64, 96)
    assert [tuple(m.backbone(pixels)[0].shape[-2:]) for m in (c4, c5, dc5)] == [(4, 6), (2, 3), (4, 6)]
    assert c4.roi_layers(torch.rand(1, 128, 14, 14)).shape == (1, 256, 7, 7)
    dilations = {m.dilation[0] for m in dc5.backbone.bottom_up.stages[3].modules() if isinstance(m, torch.nn.Conv2d)}
    assert dilations == {1, 2}


def test_r_cnn_sees_each_region_alone() -> None:
    """What lies outside a region has no influence on it, unlike in Fast R-CNN, whose features look around."""
    image = torch.rand(3, *SIZE)
    other = image.clone()
    other[:, :, 64:] = 0.0
    region = [BOXES[:1]]
    for name, same in (("r-cnn", True), ("fast r-cnn", False)):
        model = build(name).eval()
        a, b = (model.predict([x], proposals=region, score_threshold=0.0)[0].scores for x in (image, other))
        assert torch.equal(a, b) == same


def test_missing_proposals_are_one_clear_line() -> None:
    model = build("fast r-cnn")
    with pytest.raises(UserError, match=r"expected boxes for each of 1 image\(s\), got none; this model has no RPN"):
        model.predict([torch.rand(3, *SIZE)])
    with pytest.raises(UserError, match="got those of 2"):
        model.loss([torch.rand(3, *SIZE)], [targets()], proposals=[BOXES, BOXES])


def test_a_model_with_an_rpn_takes_no_proposals() -> None:
    model = build("faster r-cnn")
    with pytest.raises(UserError, match="proposals: expected none, since this model has an RPN"):
        model.predict([torch.rand(3, *SIZE)], proposals=[BOXES])
    with pytest.raises(UserError, match="proposals: expected none"):
        model.loss([torch.rand(3, *SIZE)], [targets()], proposals=[BOXES])


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"backbone": {"features": "c4"}}, "anchors.sizes: expected 1 tuple"),
        ({"anchors": {"sizes": ONE_LEVEL}}, "anchors.sizes: expected 5 tuple"),
        ({"backbone": {"features": "image"}}, "rpn.enabled: expected false where backbone.features is image"),
        (
            {"rpn": {"enabled": False}, "box_head": {"enabled": False}},
            "rpn.enabled: expected an RPN, a box head or a branch for every pixel",
        ),
        ({"box_head": {"enabled": False}}, "mask_head.enabled: expected false without a box head"),
        ({"rpn": {"enabled": False}, "augment": {"copy_paste": 0.5}}, "augment.copy_paste: expected 0 without an RPN"),
    ],
)
def test_parts_that_do_not_fit_together(sections: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config(**sections)


def test_a_mask_of_competing_classes_is_their_softmax() -> None:
    head = build("softmax masks").mask_head
    assert head is not None
    features, labels = torch.rand(4, 32, 14, 14), torch.tensor([0, 2, 1, 2])
    probs = head(features, labels).sigmoid()
    expected = head.all_logits(features).softmax(dim=1)[torch.arange(4), labels]
    torch.testing.assert_close(probs, expected)


def test_the_one_mask_that_is_computed_is_that_of_all() -> None:
    head = build("mask r-cnn, fpn").mask_head
    assert head is not None
    features, labels = torch.rand(4, 32, 14, 14), torch.tensor([0, 2, 1, 2])
    torch.testing.assert_close(head(features, labels), head.all_logits(features)[torch.arange(4), labels])
