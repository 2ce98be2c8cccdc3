"""How good results are: COCO's metrics, a table of them, and a report to look at.

Takes results and ground truth; knows no model. `evaluator.py` runs a model over a data set and comes here with them.
"""

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
