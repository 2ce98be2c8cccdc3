"""The second half of an evaluation: what was found is compared with the labels, and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.evaluation.metrics import IouType, Metrics
from maskrcnn.evaluation.report import write_report
from maskrcnn.evaluation.table import format_table
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation_run import EvaluationRun
from maskrcnn.files import write_atomically
from maskrcnn.predictor import Predictor
from maskrcnn.scoring import write_metrics
from maskrcnn.structures import Categories


def concluded(
    run: EvaluationRun,
    model: Predictor[Any],
    output: Path | None,
    *,
    report: bool = True,
    say: Callable[[str], object] = print,
) -> Metrics:
    """The second half of `evaluate`: what was found is compared with the labels, and written.

    Raises:
        UserError: none of the images could be read, or `output` cannot be written.
    """
    truth = run.ground_truth()
    iou_types = _iou_types(model, truth)
    limit, threshold = run.limit(truth), run.score_threshold
    if iou_types:
        metrics = evaluate_coco(truth, run.results, limit, iou_types, threshold, explain=report)
    else:
        metrics = Metrics({}, limit, threshold, len(truth.images), (), "maskrcnn")
    metrics = replace(
        metrics,
        warnings=(*run.warnings(), *_not_compared(model, iou_types), *metrics.warnings),
        semantic=run.semantic(),
        panoptic=None if run.panoptic is None else run.panoptic.metrics(),
    )
    say(format_table(metrics))
    if output is not None:
        _write_results(output, run.results, metrics)
        if report:
            title = f"{model.name} on {Path(run.data.report.source).name}"
            maps, names = run.pixel_examples.worst_first() if run.pixel_examples else (), model.categories.names
            write_report(output / "report.html", metrics, truth, run.results, run.picture, title, maps, names)
    return metrics


def _iou_types(model: Predictor[Any], truth: GroundTruth) -> tuple[IouType, ...]:
    """Boxes, masks and keypoints where both sides have them. What says most about the model comes first."""
    compared: dict[IouType, bool] = {
        "mask": "mask_head" in model.branches and truth.has_masks(),
        "keypoints": "keypoint_head" in model.branches and same_keypoints(model.categories, truth.categories),
        "box": model.config.rpn.enabled or model.config.box_head.enabled,
    }
    return tuple(kind for kind, wanted in compared.items() if wanted)


def _not_compared(model: Predictor[Any], iou_types: Sequence[IouType]) -> list[str]:
    if "keypoint_head" not in model.branches or "keypoints" in iou_types:
        return []
    return ["keypoints are not compared: the classes of the data set have none, or others than the model's"]


def same_keypoints(model: Categories, data: Categories) -> bool:
    """Whether the classes that both sides know have keypoints, and the same ones."""
    mine, theirs = (dict(zip(c.names, c.schemas, strict=True)) if c.schemas else {} for c in (model, data))
    shared = frozenset(model.names) & frozenset(data.names)
    return data.keypoints is not None and all(mine.get(name) == theirs.get(name) for name in shared)


def _write_results(folder: Path, results: list[dict[str, Any]], metrics: Metrics) -> None:
    write_atomically(folder / "predictions.json", json.dumps(results))
    write_metrics(folder, metrics)
