"""What is run: the systems, the data they see, and what of each data set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """One row for each data set.

    Attributes:
        title: what papers call it.
        preset: the settings it starts from.
        data: the data sets.
        settings: what is changed beside `short.yaml`, so that it takes no longer than the others.
        is_given_regions: whether regions come from the RPN alone.
        start: the model whose backbone the training starts with.
    """

    title: str
    preset: str
    data: tuple[str, ...] = ("nuclei",)
    settings: tuple[str, ...] = ()
    is_given_regions: bool = False
    start: str = "nuclei"


BOTH = ("nuclei", "facades")

SYSTEMS = (
    System("RPN alone", "rpn", BOTH),
    System("R-CNN", "r_cnn", settings=("box_head.pooled_size=64", "roi.samples_per_image=16"), is_given_regions=True),
    System("Fast R-CNN", "fast_r_cnn", is_given_regions=True),
    System("Faster R-CNN, RoIPool", "faster_r_cnn_pool"),
    System("Faster R-CNN, RoIAlign", "faster_r_cnn"),
    System("Mask R-CNN, C4", "c4"),
    System("Mask R-CNN, C5", "c5"),
    System("Mask R-CNN, dilated C5", "dc5"),
    System("Mask R-CNN, FPN", "paper", (*BOTH, "coco_mini")),
    System(
        "Mask R-CNN, ResNeXt",
        "resnext",
        settings=("backbone.name=resnext50_32x4d", "resnet.stem_channels=64"),
        start="none",
    ),
    System("keypoints", "keypoints", ("coco_mini",)),
    System("boxes, masks, keypoints", "joint", ("coco_mini",)),
    System("FCN-32s", "fcn_32s"),
    System("FCN-16s", "fcn_16s"),
    System("FCN-8s", "fcn", BOTH),
    System("panoptic FPN", "panoptic", ("facades",), ("data.stuff=[street,vegetation,facade]",)),
)
"""The RPN first, since others look at its regions."""


@dataclass(frozen=True)
class Excerpt:
    """Part of a data set.

    Attributes:
        train: images to learn from.
        val: images to measure on.
        settings: how it is looked at.
    """

    train: int
    val: int
    settings: tuple[str, ...] = ()


EXCERPTS = {
    "nuclei": Excerpt(80, 8, ("input.min_size=512", "augment.crop_size=192")),
    "facades": Excerpt(80, 8),
    "coco_mini": Excerpt(80, 16),
}
