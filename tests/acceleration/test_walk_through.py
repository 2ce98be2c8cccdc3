"""Every kind of model, fresh and trained, as the textbook has it and made fast in any order: the same is computed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.acceleration import choice, entries, for_prediction, for_training, prepared_for
from maskrcnn.acceleration.fpn import FusedFPN, RecomputingFPN
from maskrcnn.acceleration.layers import (
    FlattenChannelsLast,
    FusedBlock,
    FusedConv2d,
    FusedLinear,
    FusedSamePaddedConv2d,
)
from maskrcnn.acceleration.mask_head import FastMaskHead
from maskrcnn.acceleration.rpn import FastRPN, FusedRPNHead
from maskrcnn.acceleration.training import (
    TEXTBOOK,
    DoneNorm,
    LaterFlatten,
    NormingConv2d,
    NormingSamePaddedConv2d,
    OneDNNLinear,
    WinogradConv2d,
)
from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.kernels.winograd import ROUGH_TILES, TILES
from maskrcnn.model import Model
from maskrcnn.models import chunks
from maskrcnn.models.backbones.efficientnet_lite import InvertedResidual, SamePaddedConv2d
from maskrcnn.models.backbones.resnet import ResidualBlock
from maskrcnn.models.fpn import FPN
from maskrcnn.models.losses import Losses
from maskrcnn.models.mask_head import FCNMaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.norm import FrozenBatchNorm2d
from maskrcnn.models.rpn import RPN, RPNHead
from maskrcnn.ops.fixed_sizes import fixed_sizes
from maskrcnn.presets import PRESETS
from maskrcnn.settings import parse_assignments, update_config
from maskrcnn.structures import Categories, Detections, PackedMasks, Targets
from maskrcnn.weights import save_model

ONE_LEVEL = ("anchors.sizes=[[16,32,64]]",)
NO_MASKS = ("mask_head.enabled=false",)
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (name, ()) for name in PRESETS},
    "c4": ("c4", ONE_LEVEL),
    "c5": ("c5", ONE_LEVEL),
    "dc5": ("dc5", ONE_LEVEL),
    "resnext": ("resnext", ("backbone.name=resnext50_4x32d",)),
    "r_cnn": ("r_cnn", ("box_head.pooled_size=32",)),
    "group norm": ("tiny", ("backbone.norm=gn", "fpn.norm=gn", "mask_head.norm=gn")),
    "MLP masks": ("tiny", ("mask_head.kind=mlp", "mask_head.fc_channels=32")),
    "competing masks": ("tiny", ("mask_head.loss=softmax",)),
    "class-agnostic": ("tiny", ("mask_head.class_agnostic=true", "box_head.class_agnostic=true")),
    "bins that are not square": (
        "keypoints_tiny",
        (
            "mask_head.enabled=true",
            "box_head.pooled_size=[5,7]",
            "mask_head.pooled_size=[8,6]",
            "keypoint_head.pooled_size=[6,8]",
        ),
    ),
    "Faster R-CNN": ("tiny", NO_MASKS),
    "Fast R-CNN": ("tiny", ("rpn.enabled=false",)),
    "every pixel too": ("tiny", ("semantic_head.enabled=true", "semantic_head.channels=32")),
}
SMALL = (
    *(
        "input.min_size=64",
        "input.max_size=96",
        "fpn.channels=16",
        "backbone.frozen_stages=0",
    ),
    *("rpn.post_nms_top_k_train=40", "rpn.post_nms_top_k_test=40", "roi.samples_per_image=512"),
    *("box_head.fc_channels=32", "box_head.conv_channels=16", "box_head.max_detections=8"),
    *("box_head.score_threshold=0.0", "mask_head.channels=16", "keypoint_head.channels=16"),
)
NUM_CLASSES, NUM_KEYPOINTS = 3, 2


@pytest.fixture(autouse=True)
def winograd_for_narrow_layers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(choice, "MIN_CHANNELS", dict.fromkeys((*TILES, *ROUGH_TILES), 16))
    monkeypatch.setattr(choice, "MIN_TILES", 0)
    monkeypatch.setattr(choice, "MIN_PRODUCTS", 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Case:
    """A model of the textbook, what it finds, and its losses."""

    config: Config
    network: MaskRCNN
    found: list[Detections]
    losses: dict[str, Tensor]


def config_of(kind: str) -> Config:
    preset, settings = KINDS[kind]
    config = update_config(PRESETS[preset](), parse_assignments(SMALL), "test")
    if config.backbone.name.startswith("resne"):
        config = update_config(config, parse_assignments(["resnet.stem_channels=16"]), "test")
    if config.backbone.name == "resnet50":
        config = update_config(config, parse_assignments(["backbone.name=resnet18"]), "test")
    return update_config(config, parse_assignments(settings), "test")


@cache
def case_of(kind: str, trained: bool) -> Case:
    torch.manual_seed(0)
    config = config_of(kind)
    network = build_model(config, NUM_CLASSES, NUM_KEYPOINTS if config.keypoint_head.enabled else None)
    with torch.no_grad():  # so that scores and boxes differ
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1 and any(part in name for part in ("objectness", "class_logits", "mask_logits")):
                parameter.mul_(20)
            if "semantic_head.score" in name:  # it begins at zero
                parameter.normal_()
    if trained:
        network.train()
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
        sum(losses_of(network).values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    network.eval()
    with torch.no_grad():
        return Case(config, network, predict(network), losses_of(network))


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator) for size in ((64, 96), (80, 64))]


BOXES = torch.tensor([[4.0, 6, 40, 50], [20, 10, 60, 60], [2, 2, 14, 18], [30, 40, 50, 62]])


def proposals_for(network: MaskRCNN) -> list[Tensor] | None:
    return None if network.rpn is not None else [BOXES + 3, BOXES - 2]


def predict(network: MaskRCNN) -> list[Detections]:
    with torch.no_grad():
        return network.predict(images(), proposals=proposals_for(network))


def losses_of(network: MaskRCNN) -> dict[str, Tensor]:
    bitmaps = torch.zeros(4, 64, 64, dtype=torch.uint8)
    for bitmap, (x1, y1, x2, y2) in zip(bitmaps, BOXES.int().tolist(), strict=True):
        bitmap[y1:y2, x1:x2] = 1
    keypoints = torch.cat(
        [BOXES.view(4, 2, 2).mean(1, keepdim=True) + torch.tensor([[-1.0], [2.0]]), torch.full((4, 2, 1), 2.0)], 2
    )
    semantic = torch.full((64, 64), NUM_CLASSES, dtype=torch.uint8)
    semantic[6:50, 4:40] = 0
    targets = Targets(
        BOXES, torch.tensor([0, 1, 2, 0]), PackedMasks.from_bitmaps(bitmaps), keypoints=keypoints, semantic=semantic
    )
    squares = [image[:, :64, :64] for image in images()]
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    losses = network.loss(squares, [targets] * 2, proposals=proposals_for(network), generators=generators)
    return dict(losses.items())


def assert_same_detections(actual: Sequence[Detections], expected: Sequence[Detections]) -> None:
    """One to one, since the last digit of equal scores decides their order."""
    for ours, theirs in zip(actual, expected, strict=True):
        assert len(ours) == len(theirs) and ours.image_size == theirs.image_size
        apart = (ours.boxes[:, None] - theirs.boxes).abs().amax(dim=2) + (ours.scores[:, None] - theirs.scores).abs()
        apart[ours.labels[:, None] != theirs.labels] = torch.inf
        twin = apart.argmin(dim=1)
        assert sorted(twin.tolist()) == list(range(len(theirs)))
        theirs = theirs[twin]
        torch.testing.assert_close(ours.boxes, theirs.boxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-4, rtol=0)
        assert (ours.mask_probs is None) == (theirs.mask_probs is None)
        if ours.mask_probs is not None and theirs.mask_probs is not None:
            torch.testing.assert_close(ours.mask_probs, theirs.mask_probs, atol=1e-3, rtol=0)
        assert (ours.semantic is None) == (theirs.semantic is None)
        if ours.semantic is not None and theirs.semantic is not None:
            assert (ours.semantic == theirs.semantic).double().mean() > 0.99


def assert_same_losses(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        torch.testing.assert_close(value, expected[name], atol=1e-7, rtol=1e-5, msg=lambda text, n=name: f"{n}: {text}")


def types_in(network: MaskRCNN) -> set[type]:
    return {type(module) for module in network.modules()}


def assert_ready_for_prediction(network: MaskRCNN, plain: MaskRCNN) -> None:
    """Nothing is left that has a faster form, and each faster form is there that the textbook's modules call for."""
    before, after = types_in(plain), types_in(network)
    assert prepared_for(network) == "prediction"
    left = {nn.Conv2d, nn.Linear, nn.BatchNorm2d, FPN, FCNMaskHead, RPNHead, *TEXTBOOK} - {FastMaskHead}
    assert after.isdisjoint(left | {SamePaddedConv2d, InvertedResidual, nn.ReLU6})
    if not any(issubclass(kind, nn.GroupNorm) for kind in before):  # it stays between a block's last layer and the sum
        assert ResidualBlock not in after and FusedBlock in after
    for part, faster in (
        (nn.Conv2d, FusedConv2d),
        (nn.Linear, FusedLinear),
        (FPN, FusedFPN),
        (FCNMaskHead, FastMaskHead),
        (RPNHead, FusedRPNHead),
        (SamePaddedConv2d, FusedSamePaddedConv2d),
    ):
        assert (part in before) == (faster in after), faster
    has_fcs = plain.box_head is not None and any(isinstance(layer, nn.Linear) for layer in plain.box_head.trunk)
    assert has_fcs == (FlattenChannelsLast in after)
    rough = {
        layer.tiles
        for head in network.roi_branches.values()
        for layer in head.modules()
        if isinstance(layer, FusedConv2d)
    }
    own = {layer.tiles for layer in network.backbone.modules() if isinstance(layer, FusedConv2d)}
    assert rough <= {ROUGH_TILES} and own <= {TILES}


def assert_ready_for_training(network: MaskRCNN, plain: MaskRCNN) -> None:
    before, after = types_in(plain), types_in(network)
    assert prepared_for(network) == "training" and after.isdisjoint({nn.Linear, FPN, FCNMaskHead})
    for part, faster in ((nn.Linear, OneDNNLinear), (FPN, RecomputingFPN), (FCNMaskHead, FastMaskHead)):
        assert (part in before) == (faster in after), faster
    single = network.rpn is not None and len(network.rpn.head.convs) == 1
    assert single == (FastRPN in after) and (RPN in after) == (network.rpn is not None and not single)
    assert WinogradConv2d in after
    narrow = SamePaddedConv2d in before  # of a ResNet, weights with the factors of norms would take too much memory
    assert {part in after for part in (NormingSamePaddedConv2d, NormingConv2d, DoneNorm)} == {narrow}
    assert (FrozenBatchNorm2d in after) == (FrozenBatchNorm2d in before and not narrow)
    assert list(network.state_dict()) == list(plain.state_dict())


def twice(prepare: Callable[[MaskRCNN], MaskRCNN], network: MaskRCNN) -> None:
    assert prepare(network) is network
    modules = list(network.modules())
    assert prepare(network) is network
    assert all(a is b for a, b in zip(network.modules(), modules, strict=True)), "the second time nothing is done"


@pytest.mark.parametrize("trained", [False, True], ids=["fresh", "trained"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_is_computed(kind: str, trained: bool) -> None:
    """For training, then for prediction; and for prediction alone."""
    case = case_of(kind, trained)
    network = copy.deepcopy(case.network)
    twice(for_training, network)
    assert_ready_for_training(network, case.network)
    assert_same_detections(predict(network), case.found)
    assert_same_losses(losses_of(network), case.losses)
    found = []
    for own in (network, copy.deepcopy(case.network)):
        twice(for_prediction, own)
        assert_ready_for_prediction(own, case.network)
        found.append(predict(own))
        assert_same_detections(found[-1], case.found)
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours.boxes, theirs.boxes) and torch.equal(ours.scores, theirs.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_sizes_ask_no_tensor_for_its_length(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`len` makes a number of what is a symbol in an exported graph; the same is found as without fixed sizes.

    By the textbook's network and by the one made ready for prediction.
    """
    case = case_of(kind, trained=False)
    networks = case.network, for_prediction(copy.deepcopy(case.network))

    def refuse(x: Tensor) -> int:
        raise AssertionError(f"len() of a tensor {tuple(x.shape)}")

    with fixed_sizes(), monkeypatch.context() as patch:
        patch.setattr(Tensor, "__len__", refuse)
        found = [predict(network) for network in networks]
    for own in found:
        assert_same_detections(own, case.found)


class OfTheUser(MaskRCNN):
    """Has losses of its own."""

    def loss(self, *args: Any, **kwargs: Any) -> Losses:
        return super().loss(*args, **kwargs)


@pytest.mark.parametrize("built_from", [MaskRCNN, OfTheUser])
@pytest.mark.parametrize("name", ["a copy", "pickled"])
def test_what_a_network_is_ready_for_survives(name: str, built_from: type[MaskRCNN]) -> None:
    again = copy.deepcopy if name == "a copy" else lambda network: pickle.loads(pickle.dumps(network))
    network = copy.deepcopy(case_of("tiny", False).network)
    network.__class__ = built_from
    assert prepared_for(again(network)) is None
    assert prepared_for(again(for_training(network))) == "training"
    ready = again(for_prediction(network))
    assert prepared_for(ready) == "prediction" and for_prediction(ready) is ready and isinstance(ready, built_from)
    assert_same_detections(predict(ready), predict(network))
    with pytest.raises(UserError, match="accelerate=False"):
        losses_of(ready)


def test_a_network_ready_for_prediction_refuses_in_one_line(tmp_path: Path) -> None:
    case = case_of("tiny", False)
    network = for_prediction(copy.deepcopy(case.network))
    categories = Categories((1, 2, 3), ("a", "b", "c"))
    refused: list[Callable[[], object]] = [
        lambda: for_training(network),
        lambda: losses_of(network),
        lambda: network(images(), [Targets.empty((64, 64))] * 2),
        lambda: save_model(tmp_path / "a.safetensors", network, case.config, categories, {}),
    ]
    for act in refused:
        with pytest.raises(UserError, match=r"^[^\n]*accelerate=False[^\n]*$"):
            act()
    assert not list(tmp_path.iterdir()) and prepared_for(network) == "prediction"


def test_a_model_leaves_the_network_it_is_given_as_it_is() -> None:
    network = for_training(copy.deepcopy(case_of("tiny", False).network)).train()
    categories, config = Categories((1, 2, 3), ("a", "b", "c")), case_of("tiny", False).config
    model = Model(network, categories, config)
    assert prepared_for(model.network) == "prediction"
    assert prepared_for(network) == "training" and network.training and losses_of(network)
    assert Model(model.network, categories, config).network is model.network
    assert Model(network, categories, config, accelerate=False).network is network


def test_linear_layers_read_features_as_they_lie_in_memory() -> None:
    """The fully connected mask branch was made for training, and its first evaluation failed."""
    network = copy.deepcopy(case_of("MLP masks", False).network)
    assert LaterFlatten in types_in(for_training(network))
    assert LaterFlatten not in types_in(for_prediction(network)) and nn.Flatten in types_in(network)


def test_weights_are_transformed_once_for_all_chunks(
    transformed_for: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network for prediction sees the boxes of two images one after the other; its mask branch has four layers."""
    network = for_prediction(copy.deepcopy(case_of("tiny", False).network))
    monkeypatch.setattr(chunks, "MAX_BYTES", 1)  # a box at a time
    (one,) = network.predict(images()[:1], max_detections=1)
    first, pixels = transformed_for.count(5) + transformed_for.count(7), images()[0]
    transformed_for.clear()
    (several,) = network.predict([pixels], max_detections=4)
    assert len(one) == 1 and len(several) == 4 and first == 4
    assert transformed_for.count(5) + transformed_for.count(7) == 4


def test_transformed_weights_are_kept_for_several_chunks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept until the last of four layers, those of a mask branch as wide as the paper's take 80 MiB instead of 20."""
    kept: list[str] = []
    monkeypatch.setattr(entries, "transforming_once", lambda: nullcontext(kept.append("kept")))
    network = for_prediction(copy.deepcopy(case_of("tiny", False).network))
    (found,) = network.predict(images()[:1], max_detections=4)
    assert len(found) == 4 and kept == []
    monkeypatch.setattr(chunks, "MAX_BYTES", 1)  # a box at a time
    network.predict(images()[:1], max_detections=4)
    assert kept == ["kept", "kept"]  # by the box branch, and by the mask branch
