"""`maskrcnn predict`: outline the objects in images."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.cli.arguments import (
    CommandParser,
    add_batch_size_option,
    add_device_option,
    add_model_option,
    add_precision_option,
    add_proposals_option,
    add_score_threshold_option,
    number,
)
from maskrcnn.cli.earlier_results import remove_replaced
from maskrcnn.cli.large import Part, add_tile_options, by_size, in_tiles
from maskrcnn.cli.missing_pictures import draw_missing
from maskrcnn.cli.prediction_run import Run, begin, say_what_came_out
from maskrcnn.cli.progress import Reporter, add_progress_options
from maskrcnn.cli.shards import add_shard_options, in_shards, predict_in_shards
from maskrcnn.cli.shortfalls import Shortfalls
from maskrcnn.cli.signals import terminated_as_interrupted
from maskrcnn.errors import UserError
from maskrcnn.large.shrinking import Shrinking

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.prediction import Prediction
    from maskrcnn.predictor import Predictor
    from maskrcnn.viz.drawing import Drawing


def main(arguments: Sequence[str]) -> int:
    """Predict, write the results and the overlay pictures; 1 if some images had to be skipped."""
    values = _parser().parse(arguments)
    from maskrcnn.files import sole_writer

    reporter = Reporter(values.quiet, values.log)
    if in_shards(values):
        _require_threshold(values, reporter)
        return predict_in_shards(values, reporter)
    with sole_writer(Path(values.output), "predicting into"):
        return _predict(values, reporter)


def _predict(values: Namespace, reporter: Reporter) -> int:
    """All of it, while no other process writes to the output folder."""
    from maskrcnn.loading import load
    from maskrcnn.sources import collect_sources

    drawing = _drawing(values)
    sources = collect_sources(values.sources, reporter.note)
    _require_threshold(values, reporter)
    run = begin(values, sources, reporter)
    if values.resume and drawing is not None:
        draw_missing(run, values, drawing)
    if run.waiting:
        model = load(values.model, values.device, values.precision)
        shrinking = Shrinking(model.config)
        shortfalls = Shortfalls(model.config, values.max_detections)
        parts = shortfalls.noted(_predict_all(model, run, values, shrinking))
        if not values.resume:
            remove_replaced(Path(values.output), values.save, reporter)
        with terminated_as_interrupted(), run.finishing(), reporter:
            reporter.begin(len(run.waiting))
            _keep(parts, run, drawing)
        for warning in filter(None, (shrinking.warning(), *shortfalls.warnings())):
            print(warning, file=sys.stderr)
    else:
        run.write_results()
    run.save_forms(values)
    say_what_came_out(run, values.score_threshold)
    return 1 if run.skipped else 0


def _parser() -> CommandParser:
    parser = CommandParser("predict", "Outline the objects in images.")
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="an image, a folder, or a quoted glob pattern")
    add_model_option(parser)
    parser.add_argument(
        "--output", default="predictions", metavar="DIR", help="where the results go (default: %(default)s)"
    )
    add_score_threshold_option(parser)
    parser.add_argument(
        "--max-detections",
        type=number(int, 1),
        metavar="N",
        help="per image, or per tile of one that is cut (default: as the model was trained)",
    )
    add_batch_size_option(parser)
    add_proposals_option(parser)
    parser.add_argument(
        "--save",
        type=_forms,
        default=(),
        metavar="FORM,...",
        help="further forms of the results, each in a folder of its name: coco, csv, labels, polygons, yolo, labelme, "
        "label-studio, cvat, geojson, imagej-rois, crops, page, wgs84",
    )
    parser.add_argument(
        "--pixel-size",
        type=number(float, 1e-12),
        metavar="LENGTH",
        help="of a pixel's side, in the unit that the measurements of --save csv are to have",
    )
    parser.add_argument("--no-overlays", action="store_true", help="write the results without pictures")
    _add_drawing_options(parser)
    earlier = parser.add_mutually_exclusive_group()
    earlier.add_argument("--resume", action="store_true", help="keep what is finished in DIR and do what is missing")
    earlier.add_argument("--overwrite", action="store_true", help="replace the results of another run in DIR")
    add_device_option(parser)
    add_precision_option(parser)
    add_tile_options(parser)
    add_progress_options(parser)
    add_shard_options(parser)
    return parser


def _require_threshold(values: Namespace, reporter: Reporter) -> None:
    """Unless one is given, the score at which F1 was best on the validation images, where the model's file has it."""
    if values.score_threshold is None:
        values.score_threshold = _own_threshold(values.model, reporter)


def _own_threshold(model: str, reporter: Reporter) -> float:
    from maskrcnn.loading import model_facts
    from maskrcnn.predictor import own_score_threshold

    threshold = own_score_threshold(facts := model_facts(model).summary)
    if facts.get("score_threshold") == threshold:
        reporter.note(
            f"objects score above {threshold:g}, where this model did best on its validation images "
            "(--score-threshold changes it)"
        )
    return threshold


def _add_drawing_options(parser: CommandParser) -> None:
    parser.add_argument(
        "--draw",
        default="labels,masks",
        metavar="PART,...",
        help="what pictures show: boxes, labels, masks (default: %(default)s)",
    )
    parser.add_argument(
        "--line-width", type=number(int, 1), metavar="N", help="pixels (default: by the picture's size)"
    )
    parser.add_argument(
        "--picture-size", type=number(int, 16), metavar="N", help="longest side of a picture (default: the image's)"
    )


def _drawing(values: Namespace) -> Drawing | None:
    from maskrcnn.viz.drawing import Drawing

    parts = tuple(part.strip() for part in values.draw.split(",") if part.strip())
    return None if values.no_overlays else Drawing(parts, values.line_width, values.picture_size)


def _forms(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _predict_all(model: Predictor[Any], run: Run, values: Namespace, shrinking: Shrinking) -> Iterator[Part]:
    """What is found, image by image; an error at once, before anything is written, if no image can be read."""
    whole, large = by_size(run.waiting, model.config, values)
    in_one_pass = model.stream(
        whole,
        values.batch_size,
        values.score_threshold,
        values.max_detections,
        on_error=run.skip,
        proposals=None if values.proposals is None else run.proposals(Path(values.proposals)),
    )
    parts = chain(_noted(in_one_pass, shrinking), in_tiles(model, large, values, run.skip))
    first = next(parts, None)
    if first is None and len(run.waiting) == len(run.sources):
        raise UserError(f"none of the {len(run.sources)} images could be read; see the lines above")
    return chain([] if first is None else [first], parts)


def _noted(predictions: Iterator[Prediction], shrinking: Shrinking) -> Iterator[Part]:
    for prediction in predictions:
        shrinking.add(prediction.image_size)
        assert isinstance(prediction.source, Path)
        yield Part(prediction.source, prediction)


def _keep(parts: Iterator[Part], run: Run, drawing: Drawing | None) -> None:
    """Rows as they come, an image's last one written behind its picture: an image with that row has everything."""
    from maskrcnn.large.overview import Overview
    from maskrcnn.pipeline import Behind

    with Behind() as behind:
        last = run.started
        for (source, was_cut), of_image in groupby(parts, key=lambda part: (part.source, part.in_tiles)):
            shown, names = Overview(was_cut), Counter[str]()
            for part in of_image:
                now = time.perf_counter()
                row = run.rows.found(source.as_posix(), part.found, now - last, more=part.more)
                names.update(part.found.names)
                if drawing is not None:
                    shown.add(part.found)
                if part.more:
                    behind.call(run.rows.append, row)
                else:
                    run.image_done(source, names, part.found)
                    behind.call(run.finish, row, part.found, shown, run.overlays[source], drawing)
            last = now
