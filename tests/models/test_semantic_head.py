"""FCN as a whole system: the class of every pixel without any object."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.config import Config, SemanticHeadConfig
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.semantic_head import FCNHead, PyramidHead
from maskrcnn.presets import preset
from maskrcnn.structures import PackedMasks, Targets
from maskrcnn.structures.semantic import IGNORED

SIZE = (64, 96)


def small(name: str = "fcn") -> Config:
    base = preset(name)
    return replace(
        base,
        input=replace(base.input, min_size=64, max_size=96),
        backbone=replace(base.backbone, name="resnet18", norm="bn", frozen_stages=0),
        resnet=replace(base.resnet, stem_channels=16),
    )


def build(name: str = "fcn", num_classes: int = 2) -> MaskRCNN:
    torch.manual_seed(0)
    return build_model(small(name), num_classes)


def targets_of(semantic: Tensor) -> Targets:
    return replace(Targets.empty((semantic.shape[0], semantic.shape[1])), semantic=semantic)


def scenes() -> tuple[list[Tensor], list[Targets]]:
    """Two images of squares in the colours of two classes, on noise."""
    images, targets = [], []
    for seed in (0, 1):
        image = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(seed)) * 0.3
        semantic = torch.full(SIZE, 2, dtype=torch.uint8)
        for label, (x, y) in enumerate(((8, 8), (56, 24)) if seed else ((48, 8), (8, 24))):
            image[label, y : y + 32, x : x + 32] = 1
            semantic[y : y + 32, x : x + 32] = label
        images.append(image)
        targets.append(targets_of(semantic))
    return images, targets


@pytest.mark.parametrize(("name", "strides"), [("fcn", (8, 16, 32)), ("fcn_16s", (16, 32)), ("fcn_32s", (32,))])
def test_each_preset_scores_the_maps_it_says(name: str, strides: tuple[int, ...]) -> None:
    model = build(name)
    head = model.dense_branches["semantic_head"]
    assert isinstance(head, FCNHead) and head.strides == strides
    assert model.rpn is None and model.box_head is None and not model.roi_branches
    maps = model.backbone(torch.zeros(1, 3, *SIZE))
    assert head(maps).shape == (1, 3, SIZE[0] // strides[0], SIZE[1] // strides[0])


def test_scores_of_coarse_maps_are_upsampled_and_those_of_fine_ones_added() -> None:
    """By hand: C5 gives 1 in its left and 3 in its right cell, C4 adds 10 to one cell of its own."""
    head = FCNHead((1, 1, 1, 1), (4, 8, 16, 32), 1, finest=16)
    with torch.no_grad():
        for name, value in head.named_parameters():
            value[0] = name.endswith("weight")
    skip = torch.zeros(1, 1, 2, 4)
    skip[0, 0, 1, 3] = 10
    unread = torch.full((1, 1, 8, 16), 1e9)
    logits = head([unread, unread, skip, torch.tensor([[[[1.0, 3.0]]]])])
    assert logits[0, 0].tolist() == [[1, 1.5, 2.5, 3], [1, 1.5, 2.5, 13]] and not logits[0, 1].any()


def test_dilated_maps_of_the_same_stride_are_added_as_they_are() -> None:
    head = FCNHead((1, 1, 1, 1), (4, 8, 16, 16), 1, finest=8)
    with torch.no_grad():
        for name, value in head.named_parameters():
            value.fill_(name.endswith("weight"))
    maps = [torch.ones(1, 1, side, side) for side in (16, 8, 4, 4)]
    assert head(maps).shape[-1] == 8 and (head(maps) == 3).all()


def test_layers_of_scores_begin_at_zero_so_that_the_loss_is_that_of_a_guess() -> None:
    images, targets = scenes()
    losses = build().loss(images, targets)
    assert list(losses) == ["semantic"] and losses.total().item() == pytest.approx(math.log(3), rel=1e-6)


def test_ignored_pixels_are_not_learned_from() -> None:
    """Whatever is said of them; and where all are ignored, the loss is zero and so is its gradient."""
    model = build().eval()
    with torch.no_grad():
        for layer in model.dense_branches["semantic_head"].modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.normal_(std=0.1)
    images, (first, _) = scenes()
    assert first.semantic is not None
    left, right = first.semantic.clone(), first.semantic.clone()
    left[:, 48:], right[:, :48] = IGNORED, IGNORED
    whole, *halves = (model.loss(images[:1], [targets_of(t)])["semantic"] for t in (first.semantic, left, right))
    assert halves[0] != halves[1] and torch.isclose(whole, (halves[0] + halves[1]) / 2)
    nothing = targets_of(torch.full(SIZE, IGNORED, dtype=torch.uint8))
    one, both = model.loss(images[:1], [first]), model.loss(images, [first, nothing])
    assert torch.isclose(one["semantic"], both["semantic"])
    zero = model.loss(images[:1], [nothing])["semantic"]
    zero.backward()
    assert zero == 0 and all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_an_image_without_objects_is_learned_as_background() -> None:
    model, (images, _) = build(), scenes()
    loss = model.loss(images[:1], [targets_of(torch.full(SIZE, 2, dtype=torch.uint8))])["semantic"]
    loss.backward()
    bias = model.get_submodule("semantic_head.score.0").bias
    assert isinstance(bias, Tensor) and bias.grad is not None
    torch.testing.assert_close(bias.grad, torch.tensor([1 / 3, 1 / 3, -2 / 3]))


def test_two_images_are_learned_by_heart() -> None:
    """And told in another size as well: the map is as large as the image that was given."""
    model, (images, targets) = build(), scenes()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(images, targets).total().backward()
        optimizer.step()
    model.eval()
    for image, target in zip(images, targets, strict=True):
        assert target.semantic is not None
        (found,) = model.predict([image])
        assert len(found) == 0 and found.semantic is not None and found.semantic.shape == SIZE
        assert (found.semantic == target.semantic).double().mean() > 0.95
        larger = torch.nn.functional.interpolate(image[None], scale_factor=3)[0]
        (found,) = model.predict([larger])
        truth = target.semantic.repeat_interleave(3, 0).repeat_interleave(3, 1)
        assert found.semantic is not None and (found.semantic == truth).double().mean() > 0.9


def test_images_of_a_batch_are_told_as_alone() -> None:
    model, (images, _) = build().eval(), scenes()
    with torch.no_grad():
        model.get_submodule("semantic_head.score.0").weight.normal_()  # type: ignore[operator, union-attr]
    (alone,) = model.predict(images[:1])
    both = model.predict([images[0], images[1]])
    assert alone.semantic is not None and both[0].semantic is not None
    assert torch.equal(alone.semantic, both[0].semantic) and len(alone.semantic.unique()) > 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="label map"):
        build().loss(scenes()[0], [Targets.empty(SIZE)] * 2)
    with pytest.raises(UserError, match="at most 254 classes, got 255"):
        build_model(small(), 255)
    with pytest.raises(UserError, match=r"semantic_head\.stride"):
        SemanticHeadConfig(stride=4)  # type: ignore[arg-type]
    base = preset("fcn")
    with_rpn = {"rpn": replace(base.rpn, enabled=True), "anchors": preset("c4").anchors}
    for sections, message in (
        ({"semantic_head": SemanticHeadConfig()}, "an RPN, a box head or a branch for every pixel"),
        (with_rpn, "rpn.enabled: expected false where"),
        ({"box_head": replace(base.box_head, enabled=True)}, "box_head.enabled: expected false where"),
        ({"backbone": replace(base.backbone, features="c5")}, "backbone.features: expected stages"),
        ({"semantic_head": SemanticHeadConfig(), **with_rpn}, "expected another without"),
    ):
        with pytest.raises(UserError, match=message):
            replace(base, **sections)  # type: ignore[arg-type]


# --- on the pyramid, beside the branches for regions --------------------------------------------------------------


def pyramid(*, semantic: bool = True) -> MaskRCNN:
    base = preset("tiny")
    config = replace(
        base,
        input=replace(base.input, min_size=64, max_size=96),
        semantic_head=SemanticHeadConfig(enabled=semantic, channels=32, loss_weight=0.5),
    )
    torch.manual_seed(0)
    return build_model(config, 2)


def objects_of(semantic: Tensor) -> Targets:
    """Both squares of a scene as objects."""
    bitmaps = torch.stack([semantic == label for label in (0, 1)]).byte()
    masks = PackedMasks.from_bitmaps(bitmaps)
    return Targets(masks.windows.float(), torch.tensor([0, 1]), masks, semantic=semantic)


def test_the_branch_changes_nothing_of_the_others() -> None:
    images, scene = scenes()
    targets = [objects_of(t.semantic) for t in scene if t.semantic is not None]
    alone, both = pyramid(semantic=False), pyramid()

    def losses(model: MaskRCNN) -> dict[str, Tensor]:
        generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
        return dict(model.loss(images, targets, generators=generators))

    ours, theirs = losses(both), losses(alone)
    assert ours.keys() - theirs.keys() == {"semantic"}
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    for found, without in zip(both.eval().predict(images), alone.eval().predict(images), strict=True):
        assert torch.equal(found.boxes, without.boxes) and torch.equal(found.scores, without.scores)
        assert without.semantic is None and found.semantic is not None and found.semantic.shape == SIZE


def test_it_reads_p2_to_p5_and_answers_at_stride_4() -> None:
    head = pyramid().dense_branches["semantic_head"]
    maps = [torch.rand(1, 32, 64 >> level, 96 >> level, requires_grad=True) for level in range(2, 7)]
    logits = head(maps)
    assert logits.shape == (1, 3, 16, 24)
    logits.sum().backward()
    read = [x.grad is not None and bool(x.grad.any()) for x in maps]
    assert read == [True, True, True, True, False]


def test_its_loss_has_its_weight() -> None:
    images, (first, _) = scenes()
    assert first.semantic is not None
    targets, model = [objects_of(first.semantic)], pyramid()
    head = model.dense_branches["semantic_head"]
    assert isinstance(head, PyramidHead) and head.loss_weight == 0.5
    half = model.loss(images[:1], targets)["semantic"]
    head.loss_weight = 1.0
    assert torch.isclose(model.loss(images[:1], targets)["semantic"], 2 * half)
