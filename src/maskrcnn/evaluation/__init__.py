"""How good a model is: COCO's metrics, a table of them, and a report to look at."""

from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.evaluation.metrics import ClassMetrics, Curve, ImageMetrics, IouType, Metrics, TypeMetrics

__all__ = [
    "ClassMetrics",
    "Curve",
    "ImageMetrics",
    "IouType",
    "Metrics",
    "TypeMetrics",
    "evaluate_coco",
]
