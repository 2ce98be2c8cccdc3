"""`maskrcnn compare`: is B better than A, or is it chance?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import (
    CommandParser,
    add_batch_size_option,
    add_device_option,
    add_group_by_option,
    add_precision_option,
    number,
)
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace


def main(arguments: Sequence[str]) -> int:
    """Find what A and B find, unless they are results already; compare, and write it down."""
    values = _parser().parse(arguments)
    from maskrcnn.comparing import compare_results

    output = Path(values.output)
    annotations, images = _labels(values)
    first, limit = _results(values.first, values, annotations, images, output / "a")
    second, other = _results(values.second, values, annotations, images, output / "b")
    compare_results(
        annotations,
        first,
        second,
        output,
        images=images if images.is_dir() else None,
        max_detections=values.max_detections or max(limit, other),
        group_by=values.group_by,
        seed=values.seed,
        names=(values.first, values.second),
    )
    print(f"\nresults in {output}: comparison.html, comparison.json")
    return 0


def _labels(values: Namespace) -> tuple[Path, Path]:
    """The annotation file and the folder of images."""
    if (values.data is None) == (values.annotations is None):
        raise UserError("expected either --data DIR, with images/ and instances_val.json in it, or --annotations FILE")
    annotations = Path(values.annotations) if values.annotations else Path(values.data) / "instances_val.json"
    return annotations, Path(values.images) if values.images else annotations.parent / "images"


COCO_LIMIT = 100


def _results(name: str, values: Namespace, annotations: Path, images: Path, folder: Path) -> tuple[Path, int]:
    """The file of COCO results that `name` is, or that the model of this name finds; detections that count."""
    if name.endswith(".json"):
        return Path(name), COCO_LIMIT
    from maskrcnn.evaluator import evaluate
    from maskrcnn.loading import load

    model = load(name, values.device, values.precision)
    limit = values.max_detections or model.config.evaluation.max_detections
    print(f"{name}: predicting")
    evaluate(
        model,
        annotations,
        images,
        folder,
        max_detections=limit,
        batch_size=values.batch_size,
        report=False,
        say=lambda line: None if "\n" in line else print(line),
    )
    return folder / "predictions.json", limit


def _parser() -> CommandParser:
    parser = CommandParser("compare", "Compare two models, or two files of COCO results, on the same annotated images.")
    for place, letter in (("first", "A"), ("second", "B")):
        parser.add_argument(place, metavar=letter, help="a model as --model takes it elsewhere, or results (.json)")
    parser.add_argument("--data", metavar="DIR", help="holds images/ and instances_val.json")
    parser.add_argument("--annotations", metavar="FILE", help="COCO instances or keypoints, instead of those in DIR")
    parser.add_argument("--images", metavar="DIR", help="instead of images/ beside the annotations")
    parser.add_argument(
        "--output", default="comparison", metavar="DIR", help="where the results go (default: %(default)s)"
    )
    add_group_by_option(parser)
    parser.add_argument(
        "--max-detections", type=number(int, 1), metavar="N", help="per image and class (default: the larger of both)"
    )
    parser.add_argument("--seed", type=number(int, 0), default=0, help="of the random halves (default: %(default)s)")
    add_batch_size_option(parser)
    add_device_option(parser)
    add_precision_option(parser)
    return parser
