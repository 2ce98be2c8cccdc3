"""`maskrcnn evaluate`: measure a model against annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import (
    CommandParser,
    add_batch_size_option,
    add_device_option,
    add_group_by_option,
    add_model_option,
    add_naming_options,
    add_precision_option,
    add_proposals_option,
    add_score_threshold_option,
    number,
)
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.data.formats.table import Labels


def main(arguments: Sequence[str]) -> int:
    """Predict, count, and write `predictions.json`, `metrics.json` and `report.html`."""
    parser = _parser()
    values = parser.parse(arguments)
    _require_one_place(values)
    if values.predictions:
        return _score(values, parser)
    from maskrcnn.evaluator import evaluate
    from maskrcnn.loading import load

    output = Path(values.output)
    model = load(values.model, values.device, values.precision)
    evaluate(
        model,
        _labels(values, has_keypoints=model.categories.keypoints is not None),
        values.images,
        output,
        max_detections=values.max_detections,
        score_threshold=values.score_threshold,
        batch_size=values.batch_size,
        proposals=values.proposals,
        crowd=values.crowd,
        group_by=values.group_by,
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
    labels = _labels(values, has_keypoints=False)
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


_OF_A_MODEL = ("model", "device", "precision", "batch_size", "proposals")
"""Options that mean nothing to results that are there already."""

_COCO_LIMIT = 100


def _parser() -> CommandParser:
    parser = CommandParser(
        "evaluate",
        "Measure a model, or results that are there already, against annotations with the COCO metrics.",
    )
    add_model_option(parser)
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="labels of any known form, or images/ and instances_val.json (person_keypoints_val.json for a model with "
        "keypoints)",
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="of DIR (default: %(default)s)"
    )
    parser.add_argument("--annotations", metavar="FILE", help="labels, instead of those in DIR: all of them")
    add_naming_options(parser)
    parser.add_argument("--images", metavar="DIR", help="instead of images/ beside the annotations")
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
    parser.add_argument(
        "--crowd",
        choices=("ignore", "object"),
        help="what annotations with iscrowd 1 are (default: as the model was trained)",
    )
    add_group_by_option(parser)
    add_score_threshold_option(
        parser, "for the numbers per image and the pictures; AP and AR use every score (default: 0.5)", 0.5
    )
    add_batch_size_option(parser)
    add_proposals_option(parser)
    add_device_option(parser)
    add_precision_option(parser)
    return parser


def _require_one_place(values: Namespace) -> None:
    if (values.data is None) == (values.annotations is None):
        raise UserError(
            "expected either --data DIR, labels of any known form or images/ and instances_val.json in it, "
            "or --annotations FILE and --images DIR"
        )


def _labels(values: Namespace, has_keypoints: bool) -> Labels:
    """What to measure on: the file or folder that is named, or the split of the data folder."""
    from maskrcnn.config.data import LAYOUT_NAMES, TRAIN_LAYOUT_NAMES
    from maskrcnn.data.formats.naming import Naming
    from maskrcnn.data.formats.table import is_coco_file, open_labels

    naming = Naming.of_files(values.colours or "", values.class_map or "")
    images = Path(values.images) if values.images else None
    if values.predictions and values.annotations and is_coco_file(Path(values.annotations)):
        return Path(values.annotations)  # with the ids that the predictions name
    if values.annotations:
        return open_labels(Path(values.annotations), images, naming)
    data = Path(values.data)
    file = data / f"{'person_keypoints' if has_keypoints else 'instances'}_{values.split}.json"
    if any((data / name).is_file() for name in (file.name, *LAYOUT_NAMES, *TRAIN_LAYOUT_NAMES)):
        return open_labels(file, images, naming)
    return _part(open_labels(data, images, naming), values)


def _part(labels: Labels, values: Namespace) -> Labels:
    """The split asked for; without splits that which the model's own run did not learn from, or everything."""
    from maskrcnn.data.formats.content import LabelContent
    from maskrcnn.training.division import kept_part

    if not isinstance(labels, LabelContent):
        return labels
    if values.split in labels.splits:
        part, what = labels.split(values.split), values.split
    elif labels.splits:
        raise UserError(f"{labels.source}: no images for {values.split}, found {' and '.join(labels.splits)}; --split")
    else:
        model = Path(values.model)
        part, what = kept_part(labels, (model if model.is_dir() else model.parent) / "split"), "the images kept for it"
        if part is labels:
            what = "all images"
    print(f"{labels.source}: labels of the form {labels.form}; measured on {what}")
    return part
