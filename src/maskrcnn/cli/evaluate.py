"""`maskrcnn evaluate`: measure a model against annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import (
    CommandParser,
    add_batch_size_option,
    add_crowd_option,
    add_device_option,
    add_group_by_option,
    add_model_option,
    add_precision_option,
    add_proposals_option,
    add_score_threshold_option,
    number,
)
from maskrcnn.cli.labels import add_label_options, named_labels, require_one_place
from maskrcnn.cli.large import add_tile_options
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace


def main(arguments: Sequence[str]) -> int:
    """Predict, count, and write `predictions.json`, `metrics.json` and `report.html`."""
    parser = _parser()
    values = parser.parse(arguments)
    require_one_place(values)
    if values.predictions:
        return _score(values, parser)
    from maskrcnn.evaluator import evaluate
    from maskrcnn.loading import load

    output = Path(values.output)
    model = load(values.model, values.device, values.precision)
    evaluate(
        model,
        named_labels(values, [values.model], has_keypoints=model.categories.keypoints is not None, given=False),
        values.images,
        output,
        max_detections=values.max_detections,
        score_threshold=values.score_threshold,
        batch_size=values.batch_size,
        proposals=values.proposals,
        crowd=values.crowd,
        group_by=values.group_by,
        tile=values.tile,
        overlap=values.overlap,
        background=values.background,
    )
    print(f"\nresults in {output}: metrics.json, predictions.json, report.html")
    return 0


def _score(values: Namespace, parser: CommandParser) -> int:
    """Measure what another program found, or this one before."""
    given = [option for option in _OF_A_MODEL if getattr(values, option) != parser.get_default(option)]
    if given:
        names = ", ".join(f"--{option.replace('_', '-')}" for option in given)
        raise UserError(f"--predictions are compared as they are, without a model: leave out {names}")
    from maskrcnn.data.formats.content import LabelContent
    from maskrcnn.scoring import evaluate_predictions

    output = Path(values.output)
    labels = named_labels(values, [values.model], has_keypoints=False, given=True)
    evaluate_predictions(
        labels,
        values.predictions,
        output,
        images=labels.folder if values.images and isinstance(labels, LabelContent) else values.images,
        max_detections=values.max_detections or _COCO_LIMIT,
        score_threshold=values.score_threshold,
        crowd=values.crowd or "ignore",
        group_by=values.group_by,
    )
    print(f"\nresults in {output}: metrics.json" + (", report.html" if values.images else ""))
    return 0


_OF_A_MODEL = ("model", "device", "precision", "batch_size", "proposals", "tile", "overlap", "background")
"""Options that mean nothing to results that are there already."""

_COCO_LIMIT = 100


def _parser() -> CommandParser:
    parser = CommandParser(
        "evaluate",
        "Measure a model, or results that are there already, against annotations with the COCO metrics.",
    )
    add_model_option(parser)
    add_label_options(parser)
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        help="COCO results to measure instead of a model: masks, boxes or keypoints, whichever it holds; images are "
        "needed for the report alone (--images)",
    )
    parser.add_argument(
        "--output", default="evaluation", metavar="DIR", help="where the results go (default: %(default)s)"
    )
    parser.add_argument(
        "--max-detections",
        type=number(int, 1),
        metavar="N",
        help="per image, COCO's maxDets (default: as the model was trained; for --predictions 100)",
    )
    add_crowd_option(parser)
    add_group_by_option(parser)
    add_score_threshold_option(
        parser, "for the numbers per image and the pictures; AP and AR use every score (default: 0.5)", 0.5
    )
    add_batch_size_option(parser)
    add_proposals_option(parser)
    add_tile_options(parser)
    add_device_option(parser)
    add_precision_option(parser)
    return parser
