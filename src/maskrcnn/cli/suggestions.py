"""Settings a data set asks for: each rule looks at the objects and answers with a setting, or with nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskrcnn.config import Config
from maskrcnn.large.tiling import large_images
from maskrcnn.structures.masks import FloatArray

if TYPE_CHECKING:
    from maskrcnn.data.coco import LabelledImages

_DETECTIONS = (100, 200, 300, 500, 1000, 2000, 5000)
_FINEST_ANCHORS = (4, 6, 8, 12, 16, 24, 32)
_LEVELS = 5


@dataclass(frozen=True)
class ObjectStatistics:
    """What the suggestions depend on.

    Attributes:
        sides: (G,) square root of the box area of each object, in input pixels.
        most_objects: in one image.
    """

    sides: FloatArray
    most_objects: int


@dataclass(frozen=True)
class Suggestion:
    """One setting.

    Attributes:
        assignment: written as for `--set`.
        reason: what in the objects asks for it.
        costs_start: whether a model that is trained further would first learn it anew.
    """

    assignment: str
    reason: str
    costs_start: bool = False


def input_scale(size: tuple[int, int], config: Config) -> float:
    """How much larger an image of `size` is in the `input` frame."""
    return large_images(config).input_size(size, config.input)[0] / size[0]


def statistics_of(splits: Iterable[LabelledImages], config: Config) -> ObjectStatistics:
    """Those of all objects that are not crowds or stuff, as large as `config` makes them for the network."""
    sides, most = [np.zeros(0)], 0
    for split in splits:
        labels = split.labels
        corners = labels.boxes.double().numpy()
        for image in range(len(labels)):
            objects = labels.objects(image)
            part = slice(objects.start, objects.stop)
            own = corners[part][labels.are_objects(image).numpy()]
            sides.append(np.sqrt((own[:, 2:] - own[:, :2]).prod(axis=1)) * input_scale(labels.size(image), config))
            most = max(most, len(own))
    return ObjectStatistics(np.concatenate(sides), most)


def suggest_detections(statistics: ObjectStatistics, config: Config) -> list[Suggestion]:
    """Room for every object of the fullest image, and a fifth more."""
    wanted = statistics.most_objects * 1.2
    if not config.box_head.enabled or config.box_head.max_detections >= wanted:
        return []
    limit = next((n for n in _DETECTIONS if n >= wanted), math.ceil(wanted))
    reason = f"an image has {statistics.most_objects} objects, the setting is {config.box_head.max_detections}"
    names = ("box_head.max_detections", "evaluation.max_detections")
    return [Suggestion(f"{name}={limit}", reason) for name in names]


def suggest_proposals(statistics: ObjectStatistics, config: Config) -> list[Suggestion]:
    """Three proposals per object of the fullest image, since many overlap."""
    wanted, current = 3 * statistics.most_objects, config.rpn.post_nms_top_k_test
    if not config.rpn.enabled or current >= wanted:
        return []
    reason = f"an image has {statistics.most_objects} objects, the setting is {current}"
    return [Suggestion(f"rpn.{name}={wanted}", reason) for name in ("pre_nms_top_k_test", "post_nms_top_k_test")]


def suggest_anchors(statistics: ObjectStatistics, config: Config) -> list[Suggestion]:
    """Sizes that double from level to level and begin at the small objects.

    A square anchor has an IoU of 0.5 or more with a centred square object whose side differs by a factor of at
    most the root of 2; so the smallest anchor may be that much larger than the smallest objects (2nd percentile).
    """
    if not config.rpn.enabled or not len(statistics.sides):
        return []
    small, large = np.percentile(statistics.sides, (2, 98))
    reach = math.sqrt(2)
    sizes = [size for level in config.anchors.sizes for size in level]
    if min(sizes) / reach <= small and large <= max(sizes) * reach:
        return []
    finest = max((s for s in _FINEST_ANCHORS if s / reach <= small), default=_FINEST_ANCHORS[0])
    doubled = ",".join(f"[{finest * 2**level}]" for level in range(_LEVELS))
    reason = f"objects measure {small:.0f} to {large:.0f} input pixels, anchors {min(sizes):g} to {max(sizes):g}"
    return [Suggestion(f"anchors.sizes=[{doubled}]", reason, costs_start=True)]


RULES: tuple[Callable[[ObjectStatistics, Config], Sequence[Suggestion]], ...] = (
    suggest_detections,
    suggest_proposals,
    suggest_anchors,
)


def suggest(statistics: ObjectStatistics, config: Config) -> list[Suggestion]:
    """What all rules suggest."""
    return [suggestion for rule in RULES for suggestion in rule(statistics, config)]
