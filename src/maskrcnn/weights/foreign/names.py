"""What other libraries call the layers that we have too: literal tables, from their names to ours.

A weight's name is its layer's name and a kind (`weight`, `running_mean`, ...). The tables name layers. In the heads the
position of a layer depends on how many there are and whether norms lie between them; there, `conv.2`, `norm.2` and
`fc.0` stand for "the third convolution" and so on, until `rename.py` counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Names = dict[str, str]

BACKBONE = "backbone.bottom_up"
_STAGES = range(4)
_BLOCKS = range(36)
"""ResNet-152 has as many in its longest stage."""
_LAYERS = range(16)
"""More than any head has convolutions or fully connected layers."""


@dataclass(frozen=True)
class _ResNetNames:
    """How a library names the parts of a ResNet.

    Attributes:
        stem: the first convolution and its norm.
        block: of a residual block, from its stage and its number.
        first_stage: the number of our stage 0.
        convs: the convolutions of a block.
        norms: their norms.
        shortcut: the projection and its norm.
    """

    stem: tuple[str, str]
    block: str
    first_stage: int
    convs: tuple[str, str, str]
    norms: tuple[str, str, str]
    shortcut: tuple[str, str]

    def table(self, prefix: str) -> Names:
        """The names of the whole network, each with `prefix` before it."""
        names = {prefix + name: f"{BACKBONE}.stem.{i}" for i, name in enumerate(self.stem)}
        for stage in _STAGES:
            names |= self.stage(prefix, stage, f"{BACKBONE}.stages.{stage}")
        return names

    def stage(self, prefix: str, stage: int, ours: str) -> Names:
        """The names of one stage, which is called `ours` here."""
        names: Names = {}
        for block in _BLOCKS:
            theirs = prefix + self.block.format(stage=stage + self.first_stage, block=block)
            names |= {theirs + name: f"{ours}.{block}.residual.{3 * i}" for i, name in enumerate(self.convs)}
            names |= {theirs + name: f"{ours}.{block}.residual.{3 * i + 1}" for i, name in enumerate(self.norms)}
            names |= {theirs + name: f"{ours}.{block}.shortcut.{i}" for i, name in enumerate(self.shortcut)}
        return names


_TORCHVISION_RESNET = _ResNetNames(
    stem=("conv1", "bn1"),
    block="layer{stage}.{block}.",
    first_stage=1,
    convs=("conv1", "conv2", "conv3"),
    norms=("bn1", "bn2", "bn3"),
    shortcut=("downsample.0", "downsample.1"),
)
_DETECTRON2_RESNET = _ResNetNames(
    stem=("stem.conv1", "stem.conv1.norm"),
    block="res{stage}.{block}.",
    first_stage=2,
    convs=("conv1", "conv2", "conv3"),
    norms=("conv1.norm", "conv2.norm", "conv3.norm"),
    shortcut=("shortcut", "shortcut.norm"),
)
_CAFFE2_RESNET = _ResNetNames(
    stem=("conv1", "res_conv1_bn"),
    block="res{stage}_{block}_",
    first_stage=2,
    convs=("branch2a", "branch2b", "branch2c"),
    norms=("branch2a_bn", "branch2b_bn", "branch2c_bn"),
    shortcut=("branch1", "branch1_bn"),
)
_CAFFE2_RESNET_GN = replace(
    _CAFFE2_RESNET,
    stem=("conv1", "conv1_gn"),
    norms=("branch2a_gn", "branch2b_gn", "branch2c_gn"),
    shortcut=("branch1", "branch1_gn"),
)

_TORCHVISION_HEADS: Names = {
    **{f"backbone.fpn.inner_blocks.{i}.{part}": f"backbone.lateral.{i}.{part}" for i in _STAGES for part in (0, 1)},
    **{f"backbone.fpn.layer_blocks.{i}.{part}": f"backbone.output.{i}.{part}" for i in _STAGES for part in (0, 1)},
    **{f"rpn.head.conv.{i}.0": f"rpn.head.convs.{i}" for i in _LAYERS},
    "rpn.head.cls_logits": "rpn.head.objectness",
    "rpn.head.bbox_pred": "rpn.head.deltas",
    "roi_heads.box_head.fc6": "box_head.trunk.fc.6",
    "roi_heads.box_head.fc7": "box_head.trunk.fc.7",
    **{f"roi_heads.box_head.{i}.0": f"box_head.trunk.conv.{i}" for i in _LAYERS},
    **{f"roi_heads.box_head.{i}.1": f"box_head.trunk.norm.{i}" for i in _LAYERS},
    **{f"roi_heads.box_head.{i}": f"box_head.trunk.fc.{i}" for i in _LAYERS},
    "roi_heads.box_predictor.cls_score": "box_head.class_logits",
    "roi_heads.box_predictor.bbox_pred": "box_head.deltas",
    **{f"roi_heads.mask_head.{i}.0": f"mask_head.convs.conv.{i}" for i in _LAYERS},
    **{f"roi_heads.mask_head.{i}.1": f"mask_head.convs.norm.{i}" for i in _LAYERS},
    "roi_heads.mask_predictor.conv5_mask": "mask_head.upsample",
    "roi_heads.mask_predictor.mask_fcn_logits": "mask_head.mask_logits",
    **{f"roi_heads.keypoint_head.{i}": f"keypoint_head.convs.conv.{i}" for i in _LAYERS},
    "roi_heads.keypoint_predictor.kps_score_lowres": "keypoint_head.upsample",
}

_TORCHVISION_OLD_HEADS: Names = {
    **{f"backbone.fpn.inner_blocks.{i}": f"backbone.lateral.{i}.0" for i in _STAGES},
    **{f"backbone.fpn.layer_blocks.{i}": f"backbone.output.{i}.0" for i in _STAGES},
    "rpn.head.conv": "rpn.head.convs.0",
    **{f"roi_heads.mask_head.mask_fcn{i}": f"mask_head.convs.conv.{i}" for i in _LAYERS},
}
"""Of the first files published: layers that have been put inside others since."""

_DETECTRON2_HEADS: Names = {
    **{f"backbone.fpn_lateral{i + 2}": f"backbone.lateral.{i}.0" for i in _STAGES},
    **{f"backbone.fpn_lateral{i + 2}.norm": f"backbone.lateral.{i}.1" for i in _STAGES},
    **{f"backbone.fpn_output{i + 2}": f"backbone.output.{i}.0" for i in _STAGES},
    **{f"backbone.fpn_output{i + 2}.norm": f"backbone.output.{i}.1" for i in _STAGES},
    "proposal_generator.rpn_head.conv": "rpn.head.convs.0",
    **{f"proposal_generator.rpn_head.conv.conv{i}": f"rpn.head.convs.{i}" for i in _LAYERS},
    "proposal_generator.rpn_head.objectness_logits": "rpn.head.objectness",
    "proposal_generator.rpn_head.anchor_deltas": "rpn.head.deltas",
    **{f"roi_heads.box_head.conv{i}": f"box_head.trunk.conv.{i}" for i in _LAYERS},
    **{f"roi_heads.box_head.conv{i}.norm": f"box_head.trunk.norm.{i}" for i in _LAYERS},
    **{f"roi_heads.box_head.fc{i}": f"box_head.trunk.fc.{i}" for i in _LAYERS},
    "roi_heads.box_predictor.cls_score": "box_head.class_logits",
    "roi_heads.box_predictor.bbox_pred": "box_head.deltas",
    **{f"roi_heads.mask_head.mask_fcn{i}": f"mask_head.convs.conv.{i}" for i in _LAYERS},
    **{f"roi_heads.mask_head.mask_fcn{i}.norm": f"mask_head.convs.norm.{i}" for i in _LAYERS},
    "roi_heads.mask_head.deconv": "mask_head.upsample",
    "roi_heads.mask_head.predictor": "mask_head.mask_logits",
    **{f"roi_heads.keypoint_head.conv_fcn{i}": f"keypoint_head.convs.conv.{i}" for i in _LAYERS},
    "roi_heads.keypoint_head.score_lowres": "keypoint_head.upsample",
}

_CAFFE2_NORM_KINDS = {
    "s": "weight",
    "gamma": "weight",
    "b": "bias",
    "beta": "bias",
    "rm": "running_mean",
    "running_mean": "running_mean",
    "riv": "running_var",
    "running_var": "running_var",
}
_CAFFE2_LAYERS = _CAFFE2_RESNET.table("") | _CAFFE2_RESNET_GN.table("")
_CAFFE2_NORMS = {layer: ours for layer, ours in _CAFFE2_LAYERS.items() if layer.endswith(("_bn", "_gn"))}
_CAFFE2_CONVS = {layer: ours for layer, ours in _CAFFE2_LAYERS.items() if layer not in _CAFFE2_NORMS}
_CAFFE2_WEIGHTS: Names = {
    **{f"{layer}_w": f"{ours}.weight" for layer, ours in _CAFFE2_CONVS.items()},
    **{
        f"{layer}_{theirs}": f"{ours}.{kind}"
        for layer, ours in _CAFFE2_NORMS.items()
        for theirs, kind in _CAFFE2_NORM_KINDS.items()
    },
}


@dataclass(frozen=True)
class Source:
    """A kind of file.

    Attributes:
        library: who wrote it.
        what: in words.
        layers: its layers' names -> ours.
        weights: its weights' names -> ours, where a layer's name cannot be told from the kind of weight.
        unused: beginnings of the names of what our models have no use for.
    """

    library: str
    what: str
    layers: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def our_name(self, name: str) -> str | None:
        """What a weight is called here; None for one that is not known."""
        layer, _, kind = name.rpartition(".")
        return f"{self.layers[layer]}.{kind}" if layer in self.layers else self.weights.get(name)


SOURCES = (
    Source(
        "torchvision",
        "a detector",
        _TORCHVISION_RESNET.table("backbone.body.") | _TORCHVISION_HEADS | _TORCHVISION_OLD_HEADS,
    ),
    Source("torchvision", "an ImageNet backbone", _TORCHVISION_RESNET.table(""), unused=("fc.",)),
    Source(
        "detectron2",
        "a detector",
        _DETECTRON2_RESNET.table("backbone.bottom_up.")
        | _DETECTRON2_RESNET.table("backbone.")
        | _DETECTRON2_RESNET.stage("roi_heads.", 3, "roi_layers")
        | _DETECTRON2_HEADS,
        unused=("pixel_mean", "pixel_std", "proposal_generator.anchor_generator."),
    ),
    Source("detectron2", "an ImageNet backbone", _DETECTRON2_RESNET.table(""), unused=("stem.fc.", "linear.")),
    Source(
        "detectron2",
        "an ImageNet backbone (Caffe2's names)",
        weights=_CAFFE2_WEIGHTS,
        # detectron2 leaves out the convolutions' biases too
        unused=("fc1000_", "pred_", *(f"{layer}_b" for layer in _CAFFE2_CONVS)),
    ),
)
"""All that is recognised."""
