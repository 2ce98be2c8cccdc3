"""Measuring the model while it trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskrcnn.config import Config
from maskrcnn.evaluator import evaluate_dataset
from maskrcnn.model import Model
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.prediction import Prediction
from maskrcnn.training.data import TrainingData


def validate(
    network: MaskRCNN,
    config: Config,
    data: TrainingData,
    output: Path,
    say: Callable[[str], None],
    *,
    after_image: Callable[[int, Prediction], object],
    report: bool,
) -> tuple[dict[str, Any], float | None]:
    """Measure `network` on the val split; what predicts is a copy made ready for it (`Model`).

    Args:
        network: what to measure.
        config: its settings.
        data: with a val split.
        output: the folder for metrics and predictions.
        say: gets the lines of progress and the table of results.
        after_image: gets the number of each image and what was found; what it raises ends the evaluation.
        report: whether to write `report.html` too.

    Returns:
        The metrics, as in `metrics.json`; and the score that decides what is best (`Metrics.score`), None where there
        is nothing to compute it from.
    """
    assert data.val is not None
    device = next(network.parameters()).device
    model = Model(network, data.categories, config, device)
    metrics = evaluate_dataset(
        model,
        data.val,
        output,
        proposals=data.paths.val_proposals,
        after_image=after_image,
        report=report,
        say=say,
    )
    return metrics.to_dict(), metrics.score if math.isfinite(metrics.score) else None
