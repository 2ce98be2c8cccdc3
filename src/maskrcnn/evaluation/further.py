"""The metrics beside COCO's that fit the data, each in a file of its own."""

from __future__ import annotations

from typing import Protocol

from maskrcnn.evaluation.boundary import BoundaryAP
from maskrcnn.evaluation.cells import CellScores, are_cells
from maskrcnn.evaluation.cityscapes import CityscapesAP
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.lvis import lvis_scores
from maskrcnn.evaluation.scenes import Scene, scenes
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.truth import GroundTruth


class MaskMetric(Protocol):
    """A metric that looks at the masks of one image after the other."""

    def add(self, scene: Scene) -> None:
        """Count an image."""

    def scores(self, halves: Halves) -> Scores:
        """What the counts come to."""


def further_scores(
    truth: GroundTruth, compared: Compared, limit: int, score_threshold: float, halves: Halves
) -> tuple[Scores, ...]:
    """All of one IoU type.

    Args:
        truth: what was to be found.
        compared: the same and what was found.
        limit: detections that count per image and class, for metrics that follow COCO in this.
        score_threshold: detections from this score on count, for metrics that need a decision.
        halves: of the images.
    """
    if compared.iou_type == "keypoints":
        return ()
    of_masks = _mask_scores(truth, compared, limit, score_threshold, halves) if compared.iou_type == "mask" else ()
    of_lvis = (
        () if truth.federated is None else (lvis_scores(compared, truth.federated, truth.categories.names, halves),)
    )
    return (*of_masks, *of_lvis)


def _mask_scores(
    truth: GroundTruth, compared: Compared, limit: int, score_threshold: float, halves: Halves
) -> tuple[Scores, ...]:
    metrics: list[MaskMetric] = [BoundaryAP(truth.categories.names, limit)]
    if are_cells(truth):
        metrics.append(CellScores(len(truth.images), score_threshold))
    if truth.street is not None:
        metrics.append(CityscapesAP(truth.street, list(truth.images), truth.categories.names))
    for scene in scenes(compared):
        for metric in metrics:
            metric.add(scene)
    return tuple(metric.scores(halves) for metric in metrics)
