from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.errors import UserError
from maskrcnn.structures import Categories
from maskrcnn.weights.foreign import Imported, ImportHints, import_foreign, import_tensors
from maskrcnn.weights.foreign.detectron2_yaml import flatten
from parity.golden import hints
from weights.foreign import synthetic

CASES = (
    ("d2_fpn_r50", "resnet50 fpn rpn box_head mask_head", 6),
    ("d2_fpn_r50_torchstyle", "resnet50 fpn rpn box_head mask_head", 4),
    ("d2_c4_r50", "resnet50 c4 rpn box_head mask_head", 5),
    ("d2_dc5_r50", "resnet50 c5 rpn box_head mask_head", 7),
    ("d2_fpn_x101", "resnext101_4x32d fpn rpn box_head mask_head", 6),
    ("d2_keypoint_fpn_r50", "resnet50 fpn rpn box_head keypoint_head", 1),
    ("d2_fpn_gn", "resnet50 fpn rpn box_head mask_head", 5),
    ("d2_class_agnostic", "resnet50 fpn rpn box_head mask_head", 7),
    ("d2_faster_rcnn", "resnet50 fpn rpn box_head", 6),
    ("tv_maskrcnn_fpn", "resnet50 fpn rpn box_head mask_head", 6),
    ("tv_maskrcnn_fpn_v2", "resnet50 fpn rpn box_head mask_head", 4),
    ("tv_keypointrcnn_fpn", "resnet50 fpn rpn box_head keypoint_head", 1),
    ("tv_fasterrcnn_fpn", "resnet50 fpn rpn box_head", 5),
)


def meta(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "golden.json").read_text())
    return content


def golden(shared: Path, name: str, file: str = "weights.safetensors") -> Imported:
    folder = shared / "golden" / name
    return import_foreign(folder / file, hints(name, meta(folder)))


@pytest.mark.parametrize(("name", "parts", "num_classes"), CASES)
def test_every_form_of_every_golden_case_is_complete(shared: Path, name: str, parts: str, num_classes: int) -> None:
    """Nothing missing, nothing unexpected, and all forms give the same numbers."""
    folder = shared / "golden" / name
    whole = golden(shared, name)
    assert len(whole.categories) == num_classes and not whole.is_backbone
    assert whole.remarks[0].partition(": ")[2].split(", ") == parts.split()
    for path in (*folder.glob("*.pkl"), *folder.glob("*.pth")):
        other = import_foreign(path, hints(name, meta(folder)))
        assert other.config == whole.config and other.state_dict.keys() == whole.state_dict.keys()
        assert all(torch.equal(other.state_dict[n], tensor) for n, tensor in whole.state_dict.items())


def test_normalisation_is_the_same_function(shared: Path) -> None:
    """(byte - mean) / std in BGR there, (fraction - mean) / std in RGB here."""
    config = golden(shared, "d2_fpn_x101").config.input
    pixel = np.array([10.0, 128.0, 250.0])  # R G B
    theirs = (pixel[::-1] - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]
    assert np.allclose((pixel / 255 - config.mean) / config.std, theirs[::-1])


def test_settings_that_the_weights_show(shared: Path) -> None:
    gn = golden(shared, "d2_fpn_gn").config
    assert (gn.fpn.norm, gn.box_head.norm, gn.mask_head.norm, gn.backbone.norm) == ("gn", "gn", "gn", "frozen_bn")
    assert (gn.rpn.num_convs, gn.box_head.num_convs, gn.box_head.conv_channels, gn.box_head.num_fcs) == (2, 4, 64, 1)
    agnostic = golden(shared, "d2_class_agnostic").config
    assert agnostic.box_head.class_agnostic and agnostic.mask_head.class_agnostic
    dilated = golden(shared, "d2_dc5_r50").config
    assert (dilated.resnet.stage5_stride, dilated.resnet.stage5_dilation) == (1, 2)
    assert dilated.anchors.sizes == ((32, 64, 128, 256, 512),) == golden(shared, "d2_c4_r50").config.anchors.sizes
    v2 = golden(shared, "tv_maskrcnn_fpn_v2").config
    assert (v2.backbone.norm, v2.fpn.norm, v2.box_head.norm, v2.mask_head.norm) == ("bn", "bn", "bn", "bn")
    assert (v2.resnet.stem_channels, v2.resnet.stage_channels) == (8, 4)
    keypoints = golden(shared, "d2_keypoint_fpn_r50")
    assert keypoints.categories.names == ("person",) and keypoints.categories.num_keypoints == 17
    assert keypoints.config.keypoint_head.shift == 0.0 == v2.keypoint_head.shift
    assert golden(shared, "tv_keypointrcnn_fpn").config.keypoint_head.shift == 0.5


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("d2_fpn_r50", (2000, 1000), (1000, 1000)),
        ("d2_c4_r50", (12_000, 2000), (6000, 1000)),
        ("d2_dc5_r50", (12_000, 2000), (6000, 1000)),
        ("d2_keypoint_fpn_r50", (2000, 1500), (1000, 1000)),
    ],
)
def test_limits_of_detectron2s_own_models(
    shared: Path, name: str, train: tuple[int, int], test: tuple[int, int]
) -> None:
    """Before and after NMS, as in its configs/Base-RCNN-FPN.yaml, Base-RCNN-C4.yaml, and so on."""
    rpn = import_foreign(shared / "golden" / name / "model_final.pkl").config.rpn
    assert (rpn.pre_nms_top_k_train, rpn.post_nms_top_k_train) == train
    assert (rpn.pre_nms_top_k_test, rpn.post_nms_top_k_test) == test


def test_settings_that_a_detectron2_config_tells(shared: Path) -> None:
    folder = shared / "golden" / "d2_fpn_r50_torchstyle"
    told, assumed = golden(shared, folder.name), import_foreign(folder / "model_final.pkl")
    assert not told.config.resnet.stride_in_1x1 and assumed.config.resnet.stride_in_1x1
    assert (
        told.config.input.mean == pytest.approx((0.485, 0.456, 0.406))
        and told.config.box_head.max_detections == (meta(folder)["config"]["TEST"]["DETECTIONS_PER_IMAGE"])
    )
    assert told.remarks[1:] == () and "assumed the style msra" in assumed.remarks[1]
    stem = "backbone.bottom_up.stem.0.weight"
    assert torch.equal(told.state_dict[stem], assumed.state_dict[stem].flip(1))
    styled = import_foreign(folder / "model_final.pkl", ImportHints(style="torch"))
    assert (
        torch.equal(styled.state_dict[stem], told.state_dict[stem]) and styled.config.backbone == told.config.backbone
    )
    other = flatten(meta(folder)["config"]) | {
        f"MODEL.ROI_{head}_HEAD.POOLER_TYPE": "ROIAlignRotated" for head in ("BOX", "MASK")
    }
    with pytest.raises(UserError, match="is 'ROIAlignRotated'; this package can only do 'ROIAlignV2', 'ROIAlign'"):
        import_foreign(folder / "model_final.pkl", ImportHints(settings=other))


def test_mean_in_an_older_file_tells_the_order_of_the_channels(shared: Path) -> None:
    state = dict(load_file(shared / "golden" / "d2_fpn_r50" / "weights.safetensors"))
    for mean, order in (((103.53, 116.28, 123.675), "BGR"), ((123.675, 116.28, 103.53), "RGB")):
        imported = import_tensors(state | {"pixel_mean": torch.tensor(mean).view(3, 1, 1)})
        assert order in imported.remarks[1]


def test_background_moves_from_first_to_last() -> None:
    state = synthetic.torchvision_detector(slots=4)
    ours = import_tensors(state).state_dict
    logits, deltas = (state[f"roi_heads.box_predictor.{name}.weight"] for name in ("cls_score", "bbox_pred"))
    assert torch.equal(ours["box_head.class_logits.weight"], logits[[1, 2, 3, 0]])
    assert torch.equal(ours["box_head.deltas.weight"], deltas[4:])
    assert torch.equal(ours["mask_head.mask_logits.bias"], state["roi_heads.mask_predictor.mask_fcn_logits.bias"][1:])


def test_slots_that_coco_does_not_use_are_dropped() -> None:
    state = synthetic.torchvision_detector(slots=91)
    imported = import_tensors(state)
    assert imported.config.resnet.norm_eps == 0 and "norm_eps is 0" in imported.remarks[1]
    categories = imported.categories
    assert len(categories) == 80 and categories.ids[11] == 13 and categories.names[11] == "stop sign"
    rows = state["roi_heads.box_predictor.cls_score.bias"]
    assert torch.equal(imported.state_dict["box_head.class_logits.bias"], rows[[*categories.ids, 0]])
    boxes = state["roi_heads.box_predictor.bbox_pred.bias"].view(91, 4)
    assert torch.equal(imported.state_dict["box_head.deltas.bias"], boxes[list(categories.ids)].flatten())


def test_all_slots_are_kept_where_the_categories_say_so() -> None:
    names = tuple(f"slot {i}" for i in range(1, 91))
    kept = import_tensors(
        synthetic.torchvision_detector(slots=91), ImportHints(categories=Categories(tuple(range(1, 91)), names))
    )
    assert kept.categories.names == names and len(kept.state_dict["box_head.class_logits.bias"]) == 91
    with pytest.raises(UserError, match="2 categories, and outputs for 90 classes"):
        import_tensors(synthetic.torchvision_detector(slots=91), ImportHints(categories=Categories((1, 2), ("a", "b"))))


def test_categories_without_names_are_numbered() -> None:
    imported = import_tensors(synthetic.torchvision_detector(slots=4))
    assert imported.categories == Categories((1, 2, 3), ("class_1", "class_2", "class_3"))
    assert imported.config.backbone.name == "resnet18" and imported.config.resnet.norm_eps == 1e-5


LOGITS, DELTAS = "roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"
OBJECTNESS, BODY = "rpn.head.cls_logits", "backbone.body"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({f"{OBJECTNESS}.bias": None}, r"missing: rpn\.head\.objectness\.bias$"),
        ({f"{OBJECTNESS}.bias": torch.zeros(4)}, r"shape: rpn\.head\.objectness\.bias \(4,\) instead of \(3,\)"),
        ({"backbone.extra.weight": torch.zeros(4)}, r"no layers in this package; unexpected: backbone\.extra\.weight$"),
        ({f"x.{i}": torch.zeros(4) for i in range(9)}, r"unexpected: x\.0, x\.1, x\.2, \.\.\. \(9 in all\)"),
        ({"rpn.head.conv.1.0.weight": torch.zeros(8, 8, 3, 3)}, r"missing: .*rpn\.head\.convs\.1\.bias"),
        ({f"{DELTAS}.weight": torch.zeros(6, 16)}, r"has shape \(6, 16\), expected 4 rows for each of 3"),
        ({f"{LOGITS}.bias": torch.zeros(5)}, r"has shape \(5,\), expected 1 rows for each of 3"),
        ({f"{BODY}.layer4.1.conv1.weight": None}, r"missing: backbone\.bottom_up\.stages\.3\.1\.residual\.0\.weight"),
        ({f"{BODY}.conv1.weight": None}, r"lacks backbone\.bottom_up\.stem\.0\.weight"),
    ],
)
def test_what_does_not_fit_is_listed(change: dict[str, Tensor | None], message: str) -> None:
    state = {n: t for n, t in (synthetic.torchvision_detector(slots=4) | change).items() if t is not None}
    with pytest.raises(UserError, match=message) as caught:
        import_tensors(state)
    assert "recognised a detector of torchvision" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((4, 16), float("nan")), "holds 64 of 64 numbers that are NaN or infinite"),
        (torch.zeros(4, 16, dtype=torch.complex64), "is of type complex64"),
        (torch.zeros(4, 16, dtype=torch.int8), "is of type int8"),
    ],
)
def test_weights_that_are_no_finite_numbers(value: Tensor, message: str) -> None:
    state = synthetic.torchvision_detector(slots=4) | {f"{LOGITS}.weight": value}
    with pytest.raises(UserError, match=rf"{LOGITS}\.weight {message}"):
        import_tensors(state)


def test_a_name_for_the_background() -> None:
    """Five names for four classes, as other tools count."""
    state, names = synthetic.torchvision_detector(slots=4), ("a", "b", "c")
    for given, hint in (
        (("__background__", *names), "leave out '__background__'"),
        ((*names, "d"), "leave out the name that means the background"),
    ):
        categories = Categories(tuple(range(1, 5)), given)
        with pytest.raises(UserError, match=f"4 categories, and outputs for 3 classes besides the background; {hint}"):
            import_tensors(state, ImportHints(categories=categories))


def test_what_nobody_knows() -> None:
    with pytest.raises(UserError, match=r"only 0 of 2 names are known; one that is not: a\.weight"):
        import_tensors({"a.weight": torch.zeros(1), "b": torch.zeros(1)})
    with pytest.raises(UserError, match="expected weights of detectron2, but only"):
        import_tensors(synthetic.torchvision_detector(slots=4), ImportHints(library="detectron2"))


def mutilated(state: dict[str, Tensor], rng: random.Random) -> dict[str, Tensor]:
    """A few weights gone, or whole layers, or of another shape."""
    state = dict(state)
    for name in rng.sample(sorted(state), rng.randint(1, 3)):
        tensor = state.pop(name, torch.zeros(1))
        changed = rng.choice([None, None, tensor[:0], torch.tensor(1.0), tensor[None], tensor.flatten()[1:]])
        if changed is not None:
            state[name] = changed
        elif rng.random() < 0.5:
            state = {n: t for n, t in state.items() if not n.startswith(name.rpartition(".")[0])}
    return state


def test_mutilated_weights_never_end_in_another_exception() -> None:
    rng, original = random.Random(0), synthetic.torchvision_detector(slots=4)
    for _ in range(40):
        with pytest.raises(UserError):
            import_tensors(mutilated(original, rng))


BACKBONE = "backbone.bottom_up"


@pytest.mark.parametrize(
    ("blocks", "bottleneck", "name"),
    [
        ((2, 2, 2, 2), False, "resnet18"),
        ((3, 4, 6, 3), False, "resnet34"),
        ((3, 4, 6, 3), True, "resnet50"),
        ((3, 4, 23, 3), True, "resnet101"),
        ((3, 8, 36, 3), True, "resnet152"),
    ],
)
def test_imagenet_backbone_of_torchvision(blocks: tuple[int, ...], bottleneck: bool, name: str) -> None:
    state = synthetic.torchvision_resnet(blocks, bottleneck=bottleneck)
    state |= {"fc.weight": torch.zeros(1000, 8), "fc.bias": torch.zeros(1000)}
    imported = import_tensors(state)
    assert imported.is_backbone and imported.config.backbone.name == name
    expected = build_model(imported.config, 1).state_dict()
    ours = {n: t.shape for n, t in expected.items() if n.startswith(f"{BACKBONE}.")}
    assert {n: t.shape for n, t in imported.state_dict.items()} == ours
    assert torch.equal(imported.state_dict[f"{BACKBONE}.stem.0.weight"], state["conv1.weight"])


def to_detectron2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As detectron2's own tool names a torchvision backbone."""
    renamed = {}
    for name, tensor in state.items():
        name = name if name.startswith("layer") else f"stem.{name}"
        for stage in (4, 3, 2, 1):
            name = name.replace(f"layer{stage}", f"res{stage + 1}")
        for i in (1, 2, 3):
            name = name.replace(f"bn{i}", f"conv{i}.norm")
        renamed[name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")] = tensor
    return renamed


CAFFE2_KINDS = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}


def to_caffe2(state: dict[str, Tensor], *, statistics: bool) -> dict[str, Tensor]:
    """As in MSRA's files; in the older ones, batch norms are scale and shift alone."""
    renamed = {}
    for name, tensor in to_detectron2(state).items():
        layer, _, kind = name.rpartition(".")
        if kind.startswith("running") and not statistics:
            continue
        norm = layer.endswith(".norm")
        layer = layer.removesuffix(".norm").replace("stem.conv1", "res_conv1" if norm else "conv1").replace(".", "_")
        for i, letter in ((1, "a"), (2, "b"), (3, "c")):
            layer = layer.replace(f"_conv{i}", f"_branch2{letter}") if layer != "res_conv1" else layer
        layer = layer.replace("shortcut", "branch1") + ("_bn" if norm else "")
        older = "b" if kind == "bias" else "s"
        kind = (CAFFE2_KINDS[kind] if statistics else older) if norm else "w"
        renamed[f"{layer}_{kind}"] = tensor
    return renamed


def write_pickle(path: Path, content: dict[str, Any]) -> Path:
    path.write_bytes(pickle.dumps(content, 2))
    return path


def test_imagenet_backbones_of_detectron2(tmp_path: Path) -> None:
    """The same network in three forms: renamed, in Caffe2's names, and from torchvision."""
    state = synthetic.torchvision_resnet((3, 4, 6, 3))
    plain = import_tensors(state).state_dict
    stem = f"{BACKBONE}.stem.0.weight"

    arrays = {name: tensor.numpy() for name, tensor in to_detectron2(state).items()}
    content = {"model": arrays, "__author__": "torchvision", "matching_heuristics": True}
    converted = import_foreign(write_pickle(tmp_path / "torchvision-R-50.pkl", content))
    assert all(torch.equal(converted.state_dict[n], t) for n, t in plain.items())
    assert not converted.config.resnet.stride_in_1x1 and converted.config.input.std == pytest.approx(
        (0.229, 0.224, 0.225)
    )

    content["__author__"] = "MSRA"
    msra = import_foreign(write_pickle(tmp_path / "R-50.pkl", content))
    assert msra.config.resnet.stride_in_1x1 and torch.equal(msra.state_dict[stem], plain[stem].flip(1))

    unused = {"conv1_b": np.zeros(8), "fc1000_w": np.zeros((2, 2)), "fc1000_b": np.zeros(2)}
    arrays = {name: tensor.numpy() for name, tensor in to_caffe2(state, statistics=True).items()}
    caffe2 = import_foreign(write_pickle(tmp_path / "MSRA-R-50.pkl", arrays | unused))
    assert caffe2.config.backbone == msra.config.backbone and caffe2.state_dict.keys() == plain.keys()
    assert all(torch.equal(caffe2.state_dict[n], t) for n, t in msra.state_dict.items())

    arrays = {name: tensor.numpy() for name, tensor in to_caffe2(state, statistics=False).items()}
    older = import_foreign(write_pickle(tmp_path / "older-R-50.pkl", arrays | unused))
    assert older.state_dict.keys() == plain.keys() and older.config.backbone == msra.config.backbone
    for name, tensor in msra.state_dict.items():
        if name.endswith("running_mean"):
            assert not older.state_dict[name].any()
        elif name.endswith("running_var"):  # variance and epsilon together are 1
            assert torch.allclose(older.state_dict[name] + 1e-5, torch.ones(1))
        else:
            assert torch.equal(older.state_dict[name], tensor), name


def test_caffe2_names_are_those_of_the_published_files() -> None:
    state = synthetic.torchvision_resnet((3, 4, 6, 3))
    newer, older = to_caffe2(state, statistics=True).keys(), to_caffe2(state, statistics=False).keys()
    assert {"conv1_w", "res_conv1_bn_running_mean", "res5_1_branch2c_bn_gamma", "res2_0_branch1_bn_beta"} <= newer
    assert {"conv1_w", "res_conv1_bn_s", "res2_0_branch2a_w", "res2_0_branch2a_bn_b", "res3_0_branch1_bn_s"} <= older


def test_a_weight_under_two_names() -> None:
    """One of them would be lost."""
    state = synthetic.torchvision_detector(slots=4)
    state["rpn.head.conv.weight"] = state["rpn.head.conv.0.0.weight"]
    with pytest.raises(UserError, match=r"unexpected: rpn\.head\.conv\.weight$"):
        import_tensors(state)
