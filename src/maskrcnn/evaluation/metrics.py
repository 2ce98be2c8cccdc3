"""What an evaluation found: the numbers, the settings they depend on, and the curves behind them.

A number that cannot be computed (no object of that size or class) is NaN here and `null` in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from maskrcnn.evaluation.explanation import Explanation
from maskrcnn.evaluation.interval import Intervals, bounds_of
from maskrcnn.evaluation.panoptic import PanopticMetrics
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.semantic import SemanticMetrics
from maskrcnn.structures.masks import FloatArray

IouType = Literal["mask", "box", "keypoints"]
"""What is compared: the pixels of two masks, the areas of two boxes, or the places of keypoints.

Of keypoints it is their similarity (OKS, see `oks.py`) that takes the place of IoU.
"""

KEYPOINT_DETECTIONS = 20
"""COCO counts no more detections per image than this for keypoints."""


def similarity_name(iou_type: IouType) -> str:
    """What takes the place of IoU."""
    return "OKS" if iou_type == "keypoints" else "IoU"


def detection_limit(iou_type: IouType, max_detections: int) -> int:
    """How many detections count per image and class."""
    return min(max_detections, KEYPOINT_DETECTIONS) if iou_type == "keypoints" else max_detections


@dataclass(frozen=True)
class Curve:
    """Precision over recall at one IoU threshold, averaged over the classes that have objects.

    Attributes:
        label: what the curve shows, such as "IoU 0.50".
        precision: (101,) at recall 0, 0.01 ... 1, made monotonous as COCO does; NaN without any object.
    """

    label: str
    precision: FloatArray


@dataclass(frozen=True)
class OperatingPoint:
    """What a score threshold gives at IoU 0.5: keep the detections with at least this `score`."""

    score: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ClassMetrics:
    """The numbers of one class.

    Attributes:
        category_id: the data set's own id.
        num_truths: objects to find, crowd regions not counted.
        num_predictions: detections that took part: at most `max_detections` per image.
        ar: average recall over IoU 0.5 to 0.95 at `max_detections`.
        best: the score threshold with the highest F1.
    """

    category_id: int
    name: str
    num_truths: int
    num_predictions: int
    ap: float
    ap50: float
    ap75: float
    ar: float
    best: OperatingPoint


@dataclass(frozen=True)
class ImageMetrics:
    """How one image went, counting the detections at or above the score threshold.

    Attributes:
        true_positives: at IoU 0.5, like the next two.
        ap50: TP / (TP + FP + FN) at IoU 0.5; 1 where nothing was to be found and nothing was.
        ap: the same, averaged over IoU 0.5, 0.55 ... 0.95.
    """

    image_id: int
    true_positives: int
    false_positives: int
    false_negatives: int
    ap50: float
    ap: float


@dataclass(frozen=True)
class TypeMetrics:
    """The numbers of one IoU type.

    Attributes:
        summary: COCO's twelve (ten for keypoints) by name ("AP", "AP50" ... "ARl"), and `per_image_ap50`,
            `per_image_ap`.
        classes: by ascending category id.
        curves: IoU 0.50, IoU 0.75, and the mean of all ten thresholds.
        images: by ascending image id.
        best: the score threshold with the highest F1 over all classes together.
        intervals: of AP, AP50, AP75 and the APs by size, and of those of each class in `classes`; None where nobody
            asked.
        explanation: what goes wrong; None likewise.
        further: metrics beside COCO's that fit the data; none where nobody asked.
    """

    summary: Mapping[str, float]
    classes: tuple[ClassMetrics, ...]
    curves: tuple[Curve, ...]
    images: tuple[ImageMetrics, ...]
    best: OperatingPoint
    intervals: Intervals | None = None
    explanation: Explanation | None = None
    further: tuple[Scores, ...] = ()

    def __getitem__(self, name: str) -> float:
        """One number of the summary, such as `metrics["mask"]["AP"]`."""
        return self.summary[name]


@dataclass(frozen=True)
class Metrics:
    """Everything one evaluation found.

    Attributes:
        by_type: "mask", "box" and "keypoints", those that were asked for.
        max_detections: how many detections count per image and class (COCO's `maxDets`); see `detection_limit`.
        score_threshold: what the per-image numbers count; AP and AR use every detection.
        num_images: with and without objects.
        warnings: one line each, about what makes the numbers other than they seem.
        evaluator: name and version of the library that counted.
        semantic: how well the class of every pixel was told; None where nobody asked.
        panoptic: how well things and stuff were told apart; None where the model does not find both.
    """

    by_type: Mapping[IouType, TypeMetrics]
    max_detections: int
    score_threshold: float
    num_images: int
    warnings: tuple[str, ...]
    evaluator: str
    semantic: SemanticMetrics | None = None
    panoptic: PanopticMetrics | None = None

    @property
    def score(self) -> float:
        """What decides which model is best: the AP of masks, else of keypoints, else of boxes, else the mIoU."""
        for numbers in self.by_type.values():
            return numbers["AP"]
        return math.nan if self.semantic is None else self.semantic.mean_iou

    def __getitem__(self, iou_type: IouType) -> TypeMetrics:
        """The numbers of "mask", "box" or "keypoints"."""
        return self.by_type[iou_type]

    def to_dict(self) -> dict[str, Any]:
        """The content of `metrics.json`: `{"mask": {"AP": ...}, "box": {...}, ...}`, valid JSON throughout."""
        limit = {"max_detections_keypoints": detection_limit("keypoints", self.max_detections)}
        return {
            **{kind: _jsonable(metrics.summary) for kind, metrics in self.by_type.items()},
            **({} if self.semantic is None else {"semantic": self.semantic.to_dict()}),
            **({} if self.panoptic is None else {"panoptic": self.panoptic.to_dict()}),
            "best_score_threshold": _jsonable({kind: metrics.best.score for kind, metrics in self.by_type.items()}),
            "intervals": {
                kind: metrics.intervals.to_dict() for kind, metrics in self.by_type.items() if metrics.intervals
            },
            "explanation": {
                kind: metrics.explanation.to_dict() for kind, metrics in self.by_type.items() if metrics.explanation
            },
            "further": {
                kind: {one.key: one.to_dict() for one in metrics.further}
                for kind, metrics in self.by_type.items()
                if metrics.further
            },
            "per_class": {kind: _class_rows(metrics) for kind, metrics in self.by_type.items()},
            "settings": {
                "max_detections": self.max_detections,
                **(limit if "keypoints" in self.by_type else {}),
                "score_threshold": self.score_threshold,
                "num_images": self.num_images,
                "evaluator": self.evaluator,
            },
            "warnings": list(self.warnings),
        }


def _class_rows(metrics: TypeMetrics) -> list[dict[str, Any]]:
    sure = metrics.intervals.classes if metrics.intervals else [{}] * len(metrics.classes)
    return [
        _jsonable(
            {
                "category_id": row.category_id,
                "name": row.name,
                "num_truths": row.num_truths,
                "num_predictions": row.num_predictions,
                "AP": row.ap,
                "AP50": row.ap50,
                "AP75": row.ap75,
                "AR": row.ar,
                "best_score_threshold": row.best.score,
                "best_precision": row.best.precision,
                "best_recall": row.best.recall,
                "best_f1": row.best.f1,
                **({"intervals": bounds_of(own)} if own else {}),
            }
        )
        for row, own in zip(metrics.classes, sure, strict=True)
    ]


def _jsonable(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
