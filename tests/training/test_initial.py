from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.build import build_model
from maskrcnn.config import AnchorConfig, BackboneConfig, BoxHeadConfig, Config, DataConfig, FPNConfig, MaskHeadConfig
from maskrcnn.errors import UserError
from maskrcnn.presets import preset
from maskrcnn.presets.fine_tuning import fine_tuned
from maskrcnn.structures import Categories
from maskrcnn.structures.keypoints import KeypointSchema
from maskrcnn.training.initial import Initial, read_initial, start_from
from maskrcnn.weights import save_model, save_weights
from weights.foreign import synthetic

CATS, DOGS = Categories((1, 2), ("cat", "lynx")), Categories((1, 2), ("dog", "wolf"))
TINY = preset("tiny")
CLASSES = "box_head.class_logits, box_head.deltas, mask_head.mask_logits"


def model(config: Config = TINY, categories: Categories = CATS, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(config, len(categories), categories.num_keypoints)


def initial(config: Config = TINY, categories: Categories = CATS) -> Initial:
    return Initial("old", model(config, categories, seed=1).state_dict(), config, categories)


def taken(new: nn.Module, old: Initial) -> set[str]:
    """Parts and layers all of whose weights are those of `old`."""
    equal: dict[str, bool] = {}
    for name, tensor in new.state_dict().items():
        same = name in old.weights and torch.equal(tensor, old.weights[name])
        for layer in (name.partition(".")[0], name.rpartition(".")[0]):
            equal[layer] = equal.get(layer, True) and same
    return {layer for layer, same in equal.items() if same}


def test_the_same_classes_take_everything() -> None:
    new, old = model(), initial()
    said = start_from(new, old, TINY, CATS)
    assert said == f"{len(old.weights)} of {len(old.weights)} weights from old"
    assert all(torch.equal(tensor, old.weights[name]) for name, tensor in new.state_dict().items())


def test_renamed_classes_keep_their_outputs() -> None:
    """As many, and none of the names at another place."""
    for other, renamed in ((DOGS, "cat -> dog, lynx -> wolf"), (Categories((3, 7), ("cat", "wolf")), "lynx -> wolf")):
        new, old = model(categories=other), initial()
        said, count = start_from(new, old, TINY, other), len(old.weights)
        assert said == f"{count} of {count} weights from old; kept for classes of other names: {renamed}"
        assert all(torch.equal(tensor, old.weights[name]) for name, tensor in new.state_dict().items())


@pytest.mark.parametrize(
    "categories",
    [Categories((1,), ("cat",)), Categories((1, 2), ("lynx", "cat")), Categories((1, 2), ("lynx", "wolf"))],
)
def test_outputs_of_other_classes_are_made_anew(categories: Categories) -> None:
    """Also where one has only moved to another place."""
    new, old = model(categories=categories), initial()
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    said = start_from(new, old, TINY, categories)
    assert said.endswith(f"from old; made anew: {CLASSES}")
    assert {"backbone", "rpn", "box_head.trunk.1"} <= taken(new, old) and "\n" not in said
    for layer in CLASSES.split(", "):
        assert torch.equal(new.state_dict()[f"{layer}.weight"], before[f"{layer}.weight"])


def test_parts_that_do_not_fit_are_made_anew_whole() -> None:
    config = replace(TINY, fpn=FPNConfig(channels=16), anchors=AnchorConfig(ratios=(1.0,)))
    new, old = model(config), initial()
    said = start_from(new, old, config, CATS)
    assert "made anew: box_head, fpn, mask_head, rpn; its RPN learned for anchors.ratios=(0.5, 1.0, 2.0)" in said
    assert "backbone.bottom_up.stem.0" in taken(new, old) and "backbone.lateral.0.0" not in taken(new, old)


def test_a_backbone_alone(tmp_path: Path) -> None:
    """An ImageNet backbone of torchvision, as it was downloaded."""
    state = synthetic.torchvision_resnet((2, 2, 2, 2), bottleneck=False, width=16)
    torch.save(state, tmp_path / "resnet18.pth")
    old = read_initial(str(tmp_path / "resnet18.pth"))
    config = replace(TINY, backbone=replace(TINY.backbone, norm="frozen_bn"))
    new = model(config)
    assert start_from(new, old, config, CATS).endswith("made anew: box_head, fpn, mask_head, rpn")
    assert torch.equal(new.state_dict()["backbone.bottom_up.stem.0.weight"], state["conv1.weight"])


@pytest.mark.parametrize("there", ["fpn", "c4", "c5", "image"])
@pytest.mark.parametrize("here", ["fpn", "c4", "c5", "image"])
def test_stage_5_finds_its_place(there: Any, here: Any) -> None:
    """And with it, in R-CNN, the whole backbone."""
    old, new = initial(on(there)), model(on(here))
    start_from(new, old, on(here), DOGS)
    names = {"c4": "roi_layers.0", "image": "roi_layers.bottom_up.stages.3.0"}
    usual = "backbone.bottom_up.stages.3.0"
    expected = old.weights[f"{names.get(there, usual)}.residual.0.weight"]
    assert torch.equal(new.state_dict()[f"{names.get(here, usual)}.residual.0.weight"], expected)


@pytest.mark.parametrize("there", ["fpn", "c4"])
def test_an_rpn_alone_on_c4_has_no_stage_5_to_start(there: Any) -> None:
    config = replace(on("c4"), box_head=BoxHeadConfig(enabled=False), mask_head=MaskHeadConfig(enabled=False))
    old, new = initial(on(there)), model(config)
    assert not any(name.startswith("roi_layers") for name in new.state_dict())
    start_from(new, old, config, DOGS)
    name = "backbone.bottom_up.stages.2.0.residual.0.weight"
    assert torch.equal(new.state_dict()[name], old.weights[name])


def on(features: Any) -> Config:
    """`TINY` with another kind of features; R-CNN has no RPN."""
    return replace(
        TINY,
        backbone=replace(TINY.backbone, features=features),
        anchors=AnchorConfig() if features == "fpn" else AnchorConfig(sizes=((32,),)),
        rpn=replace(TINY.rpn, enabled=features != "image"),
    )


def test_keypoints_of_another_body_are_made_anew() -> None:
    def people(*names: str) -> Categories:
        return Categories((1,), ("person",), (KeypointSchema(names),))

    config = replace(TINY, keypoint_head=replace(TINY.keypoint_head, enabled=True, num_convs=1, channels=8))
    old = initial(config, people("nose", "tail"))
    assert start_from(model(config, people("nose", "tail")), old, config, people("nose", "tail")).endswith("from old")
    for other in (people("beak", "wing"), people("nose")):
        said = start_from(model(config, other), old, config, other)
        assert said.endswith("made anew: keypoint_head.upsample")


def test_another_backbone_is_an_error() -> None:
    for other in (BackboneConfig(name="resnet34", norm="bn"), replace(TINY.backbone, norm="gn")):
        config = replace(TINY, backbone=other)
        with pytest.raises(UserError, match=r"these weights are of another backbone than resnet.*--init none"):
            start_from(model(config), initial(), config, CATS)


def test_weights_used_in_another_way_are_an_error() -> None:
    old = initial(replace(TINY, input=replace(TINY.input, std=(1.0, 1.0, 1.0))))
    with pytest.raises(UserError, match=r"old: these weights need input\.std=\(1\.0, 1\.0, 1\.0\)"):
        start_from(model(), old, TINY, CATS)
    bound = old.bind(TINY)
    assert bound.input.std == (1.0, 1.0, 1.0) and replace(bound, input=TINY.input) == TINY
    start_from(model(), old, bound, CATS)


@pytest.mark.parametrize("norm", ["bn", "sync_bn"])
def test_a_frozen_norm_keeps_the_eps_it_was_trained_with(norm: str) -> None:
    """`resnet.norm_eps` is that of frozen norms alone: 0 is not what these were trained with, and divides by 0 here."""
    config = replace(preset("tiny"), backbone=BackboneConfig(name="resnet18", norm=norm))
    config = replace(config, resnet=replace(config.resnet, norm_eps=0.0))
    categories = Categories((1,), ("cell",))
    theirs = model(config, categories, seed=1)
    trained = theirs.backbone.bottom_up.stem[1]
    trained.running_var[0] = 0
    start = Initial("old", theirs.state_dict(), config, categories)
    frozen = start.bind(fine_tuned(config))
    ours = model(frozen, categories, seed=2)
    start_from(ours, start, frozen, categories)
    pixels = torch.rand(1, trained.num_features, 2, 2)
    expected = torch.nn.functional.batch_norm(
        pixels, trained.running_mean, trained.running_var, trained.weight, trained.bias, eps=1e-5
    )
    assert torch.allclose(ours.backbone.bottom_up.stem[1](pixels), expected)
    assert start.bind(config).resnet.norm_eps == 0  # not frozen: as it was


def test_the_order_of_anchors_belongs_to_the_weights_of_an_rpn() -> None:
    """Several sizes on one level, as in C4: in another order each output would mean another anchor."""
    by_size = replace(TINY, anchors=replace(TINY.anchors, order="size"))
    old = initial(by_size)
    assert old.bind(TINY) == by_size
    with pytest.raises(UserError, match=r"old: these weights need anchors\.order=size; set it so, leave it out"):
        start_from(model(), old, TINY, CATS)
    backbone = {name: tensor for name, tensor in old.weights.items() if name.startswith("backbone.")}
    assert replace(old, weights=backbone).bind(TINY) == TINY


def test_other_anchors_are_said() -> None:
    """An RPN that fits them by its shape; one that is not there has nothing to say."""
    old, finer = initial(), replace(TINY, anchors=AnchorConfig(sizes=((8,), (16,), (32,), (64,), (128,))))
    said, count = start_from(model(finer), old, finer, CATS), len(old.weights)
    assert said == (
        f"{count} of {count} weights from old; "
        "its RPN learned for anchors.sizes=((32,), (64,), (128,), (256,), (512,)), "
        "these settings have anchors.sizes=((8,), (16,), (32,), (64,), (128,)): the first steps learn them anew"
    )
    backbone = {name: tensor for name, tensor in old.weights.items() if name.startswith("backbone.")}
    assert "anchors" not in start_from(model(finer), replace(old, weights=backbone), finer, CATS)


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ({1}, (), "; stuff to it, but things here (data.stuff, isthing): lynx"),
        ((), {0}, "; things to it, but stuff here (data.stuff, isthing): cat"),
        ({1}, {1}, ""),
    ],
)
def test_a_class_that_is_stuff_on_one_side_is_said(theirs: Any, ours: Any, said: str) -> None:
    old = initial(categories=replace(CATS, stuff=frozenset(theirs)))
    assert start_from(model(), old, TINY, replace(CATS, stuff=frozenset(ours))).endswith(f"weights from old{said}")


def test_a_model_trained_further_reads_labels_as_before() -> None:
    """What is stuff, and what a crowd is; not how the images of other data were drawn."""
    data = DataConfig(stuff=("lynx",), crowd="object", balance_by="film", val_fraction=0.5)
    assert fine_tuned(replace(TINY, data=data)).data == DataConfig(stuff=("lynx",), crowd="object")


def same(first: Any, second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in second)


def test_where_weights_come_from(tmp_path: Path) -> None:
    network = model()
    save_model(tmp_path / "ours.safetensors", network, TINY, CATS, {})
    ours = read_initial(str(tmp_path / "ours.safetensors"))
    assert same(ours.weights, network.state_dict()) and (ours.config, ours.categories) == (TINY, CATS)
    save_weights(tmp_path / "part.safetensors", {"a": torch.zeros(1)}, TINY, Categories((), ()), {})
    assert read_initial(str(tmp_path / "part.safetensors")).categories.ids == ()
    torch.save(synthetic.torchvision_detector(slots=4), tmp_path / "theirs.pth")
    assert read_initial(str(tmp_path / "theirs.pth")).categories.names == ("class_1", "class_2", "class_3")
    assert read_initial("nuclei").categories.names == ("nucleus",)
    with pytest.raises(UserError, match="no such file"):
        read_initial(str(tmp_path / "absent.pth"))
    with pytest.raises(UserError, match=r"did you mean torchvision/resnet50\?"):
        read_initial("torchvision/resnet5")
