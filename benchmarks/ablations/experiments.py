"""What is compared: the variants of each table, as changes of settings, with the paper's figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from maskrcnn import Config

Change = Callable[[Config], Config]
Figures = tuple[float | None, float | None, float | None]
"""AP, AP50, AP75 in percent; None where the paper gives none."""


@dataclass(frozen=True)
class Variant:
    """One row of a table.

    Attributes:
        name: what is special.
        change: makes the settings from those of the data's preset.
        paper: its figures in the paper, by "mask" and "box".
    """

    name: str
    change: Change
    paper: Mapping[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True)
class Ablation:
    """One table.

    Attributes:
        name: "2a", or a word where the figures do not come from table 2.
        title: the question.
        where: what the paper measured it with.
        variants: the paper's choice last.
        kinds: "mask", "box", or both.
        needs_classes: it means nothing with a single class.
    """

    name: str
    title: str
    where: str
    variants: tuple[Variant, ...]
    kinds: tuple[str, ...] = ("mask",)
    needs_classes: bool = False


def changed(config: Config, **sections: dict[str, object]) -> Config:
    """Settings with some values of some sections replaced: `changed(config, roi={"operator": "pool"})`."""
    return replace(config, **{name: replace(getattr(config, name), **values) for name, values in sections.items()})


def fpn(config: Config) -> Config:
    """The preset's own form: a pyramid, two fully connected layers, masks of 28 x 28."""
    return config


def c4(config: Config) -> Config:
    """One map at stride 16; stage 5 with stride 1 is the head, and masks have 14 x 14 pixels (figure 4, left)."""
    return changed(
        _one_level(config, "c4"),
        resnet={"stage5_stride": 1},
        box_head={"num_fcs": 0, "pooled_size": 7},
        mask_head={"num_convs": 0, "pooled_size": 7},
        roi={"samples_per_image": 64},
    )


def c5(config: Config) -> Config:
    """One map at stride 32, with the pyramid's heads: what is rounded to cells moves by up to 16 pixels."""
    return _one_level(config, "c5")


def _one_level(config: Config, features: str) -> Config:
    """All anchors and all candidates on one map."""
    rpn, levels = config.rpn, len(config.anchors.sizes)
    return changed(
        config,
        backbone={"features": features},
        anchors={"sizes": (tuple(size for level in config.anchors.sizes for size in level),)},
        rpn={
            "pre_nms_top_k_train": rpn.pre_nms_top_k_train * levels,
            "pre_nms_top_k_test": rpn.pre_nms_top_k_test * levels,
        },
    )


def on(base: Change, **sections: dict[str, object]) -> Change:
    """A base with some values replaced."""
    return lambda config: changed(base(config), **sections)


def _cut(base: Change, operator: str, reduce: str = "mean") -> Change:
    return on(base, roi={"operator": operator, "reduce": reduce})


ABLATIONS: tuple[Ablation, ...] = (
    Ablation(
        "2a",
        "One map, or a pyramid",
        "ResNet-50",
        (
            Variant("C4", c4, {"mask": (30.3, 51.2, 31.5)}),
            Variant("FPN", fpn, {"mask": (33.6, 55.2, 35.3)}),
        ),
        kinds=("mask", "box"),
    ),
    Ablation(
        "2b",
        "Classes compete for pixels, or not",
        "ResNet-50-C4",
        (
            Variant("softmax", on(c4, mask_head={"loss": "softmax"}), {"mask": (24.8, 44.1, 25.1)}),
            Variant("sigmoid", c4, {"mask": (30.3, 51.2, 31.5)}),
        ),
        needs_classes=True,
    ),
    Ablation(
        "class-agnostic",
        "One mask for all classes, or one each (section 4.2)",
        "ResNet-50-C4",
        (
            Variant("class-agnostic", on(c4, mask_head={"class_agnostic": True}), {"mask": (29.7, None, None)}),
            Variant("class-specific", c4, {"mask": (30.3, None, None)}),
        ),
        needs_classes=True,
    ),
    Ablation(
        "2c",
        "How a RoI's features are cut out, stride 16",
        "ResNet-50-C4",
        (
            Variant("RoIPool, max", _cut(c4, "pool", "max"), {"mask": (26.9, 48.8, 26.4)}),
            Variant("RoIWarp, max", _cut(c4, "warp", "max"), {"mask": (27.2, 49.2, 27.1)}),
            Variant("RoIWarp, mean", _cut(c4, "warp"), {"mask": (27.1, 48.9, 27.1)}),
            Variant("RoIAlign, max", _cut(c4, "align", "max"), {"mask": (30.2, 51.0, 31.8)}),
            Variant("RoIAlign, mean", c4, {"mask": (30.3, 51.2, 31.5)}),
        ),
    ),
    Ablation(
        "2d",
        "The same at stride 32",
        "ResNet-50-C5",
        (
            Variant("RoIPool, max", _cut(c5, "pool", "max"), {"mask": (23.6, 46.5, 21.6), "box": (28.2, 52.7, 26.9)}),
            Variant("RoIAlign, mean", c5, {"mask": (30.9, 51.8, 32.1), "box": (34.0, 55.3, 36.4)}),
        ),
        kinds=("mask", "box"),
    ),
    Ablation(
        "2e",
        "The mask branch",
        "ResNet-50-FPN",
        (
            Variant("MLP", on(fpn, mask_head={"kind": "mlp"}), {"mask": (31.5, 53.7, 32.8)}),
            Variant("FCN", fpn, {"mask": (33.6, 55.2, 35.3)}),
        ),
    ),
    Ablation(
        "multi-task",
        "Boxes without and with the mask branch (table 3)",
        "ResNet-101-FPN, test-dev",
        (
            Variant("boxes alone", on(fpn, mask_head={"enabled": False}), {"box": (37.3, 59.6, 40.3)}),
            Variant("boxes and masks", fpn, {"box": (38.2, 60.3, 41.7)}),
        ),
        kinds=("box",),
    ),
)
