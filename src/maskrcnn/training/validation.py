"""Measuring the model while it trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from maskrcnn.conclusion import concluded
from maskrcnn.config import Config
from maskrcnn.evaluation_run import Outcome
from maskrcnn.evaluator import observed
from maskrcnn.model import Model
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.training.data import TrainingData
from maskrcnn.training.distributed import Ranks
from maskrcnn.training.watched import WatchedImages


def validate(
    network: MaskRCNN,
    config: Config,
    data: TrainingData,
    output: Path,
    say: Callable[[str], None],
    *,
    ranks: Ranks,
    watched: WatchedImages,
    check: Callable[[], object],
    report: bool,
) -> tuple[dict[str, Any], float | None]:
    """Measure `network` on the val split; what predicts is a copy made ready for it (`Model`).

    Args:
        network: what to measure, the same on all ranks.
        config: its settings.
        data: with a val split.
        output: the folder for metrics and predictions.
        say: gets the lines of progress and the table of results.
        ranks: each looks at its share of the images; the first one compares and writes.
        watched: of the images, those to be drawn.
        check: called after each image, on all ranks; what it raises ends the evaluation.
        report: whether to write `report.html` too.

    Returns:
        The metrics, as in `metrics.json`; and the score that decides what is best (`Metrics.score`), None where there
        is nothing to compute it from. On the first rank; nothing elsewhere.
    """
    assert data.val is not None
    device = next(network.parameters()).device
    model = Model(network, data.categories, config, device)

    def after(outcomes: Sequence[Outcome]) -> None:
        check()
        for outcome in outcomes:
            watched.take(outcome.number, outcome.overlay)

    proposals = data.paths.val_proposals
    run = observed(
        model, data.val, proposals=proposals, examples=report, say=say, sharing=ranks, look=watched.look, after=after
    )
    if not ranks.is_first:
        return {}, None
    metrics = concluded(run, model, output, report=report, say=say)
    return metrics.to_dict(), metrics.score if math.isfinite(metrics.score) else None
