"""What is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Scenario:
    """One measurement; fully described by numbers, so that another process can repeat it.

    Attributes:
        name: short, for the command line.
        kind: "predict", from uint8 pixels to masks; or "train", one step.
        features: "fpn" or "c4".
        backbone: as in `BackboneConfig`.
        image_size: (height, width) of the images.
        short_side: what the model resizes the short side to; the long one stays below `long_side`.
        long_side: see there.
        images: in one run.
        batch_size: images at a time.
        proposals: per image, after NMS.
        detections: per image; exactly so many remain.
        classes: K, without background; not 90, since ten of torchvision's 90 COCO classes are left out on import.
        objects: per image, to train on.
        alone: torchvision has no such model, or cannot bear it.
        preset: ours is this preset's network with the preset's proposals, and so not the same as torchvision's, which
            everything else describes and which is compared with its counterpart before; empty: the same network.
        from_files: a run begins with JPEG files and ends with masks of whole images.
    """

    name: str
    kind: str = "predict"
    features: str = "fpn"
    backbone: str = "resnet50"
    image_size: tuple[int, int] = (800, 1216)
    short_side: int = 800
    long_side: int = 1333
    images: int = 1
    batch_size: int = 1
    proposals: int = 1000
    detections: int = 100
    classes: int = 80
    objects: int = 0
    alone: bool = False
    preset: str = ""
    from_files: bool = False

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scenario:
        """What `dataclasses.asdict` made, after JSON turned its tuples into lists."""
        height, width = values["image_size"]
        return cls(**{**values, "image_size": (height, width)})

    @property
    def title(self) -> str:
        """In words."""
        height, width = self.image_size
        model = f"{self.backbone.replace('resnet', 'R')}-{self.features.upper()}"
        if self.kind == "train":
            return f"Training step, {model}, {self.images} images of {height} x {width}, {self.objects} objects each"
        size = f"{self.images} image(s) of {height} x {width}"
        limits = f"{self.proposals} proposals, {self.detections} detections, {self.classes} classes"
        if self.preset:
            model = f"ours the preset {self.preset} with its own proposals, torchvision {model}"
        if self.from_files:
            size = f"{size}, from JPEG files to masks of whole images"
        return f"Prediction, {model}, {size}, {self.batch_size} at a time, short side {self.short_side}, {limits}"


SCENARIOS = (
    Scenario("fpn-100"),
    Scenario("fpn-10", detections=10),
    Scenario("fpn-512", image_size=(512, 768), short_side=512),
    Scenario("light-512", image_size=(512, 768), short_side=512, long_side=768, preset="light"),
    Scenario("small-512", image_size=(512, 768), short_side=512, long_side=768, preset="small"),
    Scenario("light-files", image_size=(512, 768), short_side=512, long_side=768, preset="light", from_files=True),
    Scenario("c4-300", features="c4", proposals=300, alone=True),
    Scenario("train-512", kind="train", image_size=(512, 512), short_side=512, images=2, batch_size=2, objects=8),
    Scenario("12mp-100", image_size=(3000, 4000)),
    Scenario("12mp-1000", image_size=(3000, 4000), detections=1000, alone=True),  # torchvision: 45 GiB of masks
)

_BASE = Scenario("base", image_size=(512, 768), short_side=512)


@dataclass(frozen=True)
class Sweep:
    """Scenarios that differ in one quantity.

    Attributes:
        name: the quantity.
        points: its value and the scenario.
    """

    name: str
    points: tuple[tuple[float, Scenario], ...]


def _sweep(name: str, field: str, values: tuple[int, ...], **others: Any) -> Sweep:
    changes: list[dict[str, Any]] = [{"name": f"{field}={value}", field: value, **others} for value in values]
    return Sweep(name, tuple(zip(values, (replace(_BASE, **change) for change in changes), strict=True)))


def _area_sweep(*short_sides: int) -> Sweep:
    sizes = [(side, side * 3 // 2) for side in short_sides]
    points = (
        (
            height * width / 1e6,
            replace(
                _BASE, name=f"area={height}x{width}", image_size=(height, width), short_side=height, long_side=width
            ),
        )
        for height, width in sizes
    )
    return Sweep("megapixels", tuple(points))


SWEEPS = (
    _sweep("images", "images", (1, 2, 4, 8)),
    _area_sweep(256, 512, 768, 1024),
    _sweep("proposals", "proposals", (100, 300, 1000, 2000)),
    _sweep("detections", "detections", (1, 10, 100, 300)),
    _sweep("classes", "classes", (1, 20, 80, 365)),
    _sweep("images at a time, of 8", "batch_size", (1, 2, 4, 8), images=8),
)
