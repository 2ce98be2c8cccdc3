"""Which weights a training starts with when none are named: the best there are for its architecture."""

from __future__ import annotations

from collections.abc import Sequence

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.loading import bundled_models
from maskrcnn.training.initial import Initial, read_initial
from maskrcnn.weights.checkpoint import read_header
from maskrcnn.weights.hub import PUBLISHED, is_downloaded

_STEM = 64
"""Width of every published network's first convolution."""
_ALSO_CALLED = dict.fromkeys(("nuclei", "cell", "cells", "cell nucleus", "cell nuclei"), "nucleus")
"""Other words for a class of a bundled model."""

_DETECTRON2 = {"resnet50": "R_50", "resnet101": "R_101", "resnext101_32x8d": "X_101_32x8d"}


def published_starts(config: Config) -> tuple[str, ...]:
    """The published models to start `config` with, best first.

    Those of the same backbone trained on COCO, with the most of the wanted branches and the longest schedule; then the
    backbone alone, trained on ImageNet. Those of the library that cuts out RoI features in the same way go first.
    """
    backbone, resnet = config.backbone, config.resnet
    if resnet.stem_channels != _STEM or resnet.stage_channels not in (0, _STEM):
        return ()
    systems = [] if backbone.features == "image" else _systems(config)  # no R-CNN has been published
    whole = [name for system in systems for name in _models(config, system)]
    alone = [f"detectron2/{_DETECTRON2.get(backbone.name, '').replace('_', '-')}", f"torchvision/{backbone.name}"]
    libraries = ("detectron2", "torchvision") if config.roi.aligned else ("torchvision", "detectron2")
    best_first = [
        *sorted(whole, key=lambda name: libraries.index(name.partition("/")[0])),
        *([] if backbone.norm == "gn" else alone),  # no backbone with group norm has been published
    ]
    return tuple(name for name in best_first if name in PUBLISHED)


def bundled_start(config: Config) -> str | None:
    """The bundled backbone to start `config` with: that of the same name."""
    name = config.backbone.name
    return name if name in bundled_models() else None


def fitting_model(classes: Sequence[str]) -> str | None:
    """The bundled model that knows all these classes, if there is one that knows little else.

    What has learned many other things starts no better than the backbone alone, with settings for other images.
    """
    wanted = {_ALSO_CALLED.get(name.casefold(), name.casefold()) for name in classes}
    for name, path in bundled_models().items():
        _, categories, _ = read_header(path)
        known = {own.casefold() for own in categories.names}
        if wanted and wanted <= known and len(known) <= 2 * len(wanted):
            return name
    return None


def default_initial(config: Config) -> Initial | None:
    """The best start for `config` that comes with the package; None where nothing is published for it either.

    Raises:
        UserError: weights are published for it, of which none is taken unasked; naming the choices.
    """
    if bundled := bundled_start(config):
        return read_initial(bundled)
    names = published_starts(config)
    if not names:
        return None
    here = [f"--init {name} (already downloaded)" for name in names if is_downloaded(name)]
    choices = ", ".join(here or [f"--init {names[0]}, which is downloaded"])
    raise UserError(
        "--init is missing: expected the weights to start with, of which none for this architecture are bundled; "
        f"choose: {choices}, --init FILE for your own weights, or --init none for random ones"
    )


def _systems(config: Config) -> list[str]:
    """The wanted one, then those with fewer branches."""
    wanted = {"keypoint": config.keypoint_head.enabled, "mask": config.mask_head.enabled, "faster": True}
    return [system for system, is_wanted in wanted.items() if is_wanted]


def _models(config: Config, system: str) -> list[str]:
    """Names that a model of this architecture may have; not all of them exist."""
    backbone = config.backbone
    dilated = "DC5" if config.resnet.stage5_dilation == 2 else ""
    kind = "fpn" if backbone.features == "stages" else backbone.features  # FCN: the backbone of a pyramid, without it
    features = {"fpn": "FPN", "c4": "C4", "c5": dilated}[kind]
    theirs = f"detectron2/{system}_rcnn_{_DETECTRON2.get(backbone.name, '')}_{features}"
    ours = f"torchvision/{system}rcnn_{backbone.name}_{kind}"
    if backbone.norm == "gn":
        return [f"{theirs}_3x_gn"]
    if config.fpn.norm is not None:  # the second versions, after Li et al. 2021
        return [f"{theirs}_400ep_LSJ", f"{ours}_v2"]
    return [f"{theirs}_3x", f"{theirs}_1x", ours]
