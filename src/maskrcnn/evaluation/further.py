"""The metrics beside COCO's that fit the data, each in a file of its own."""

from __future__ import annotations

from typing import Protocol

from maskrcnn.evaluation.boundary import BoundaryAP
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.scenes import Scene, scenes
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.truth import GroundTruth


class MaskMetric(Protocol):
    """A metric that looks at the masks of one image after the other."""

    def add(self, scene: Scene) -> None:
        """Count an image."""

    def scores(self, halves: Halves) -> Scores:
        """What the counts come to."""


def further_scores(truth: GroundTruth, compared: Compared, limit: int, halves: Halves) -> tuple[Scores, ...]:
    """All of one IoU type.

    Args:
        truth: what was to be found.
        compared: the same and what was found.
        limit: detections that count per image and class, for metrics that follow COCO in this.
        halves: of the images.
    """
    if compared.iou_type != "mask":
        return ()
    metrics: list[MaskMetric] = [BoundaryAP(truth.categories.names, limit)]
    for scene in scenes(compared):
        for metric in metrics:
            metric.add(scene)
    return tuple(metric.scores(halves) for metric in metrics)
