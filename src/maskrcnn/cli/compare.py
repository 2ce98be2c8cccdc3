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
from maskrcnn.cli.labels import add_label_options, named_labels, require_one_place

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.data.formats.table import Labels


def main(arguments: Sequence[str]) -> int:
    """Find what A and B find, unless they are results already; compare, and write it down."""
    values = _parser().parse(arguments)
    require_one_place(values)
    from maskrcnn.comparing import compare_results

    output = Path(values.output)
    models = [name for name in (values.first, values.second) if not _is_results(name)]
    labels = named_labels(values, models, has_keypoints=False, given=len(models) < 2)
    images = _images(values, labels)
    first, limit = _results(values.first, values, labels, images, output / "a")
    second, other = _results(values.second, values, labels, images, output / "b")
    compare_results(
        labels,
        first,
        second,
        output,
        images=images,
        max_detections=values.max_detections or max(limit, other),
        group_by=values.group_by,
        seed=values.seed,
        names=(values.first, values.second),
    )
    if images is None and isinstance(labels, Path):
        print(f"\nno pictures: there is no images/ beside {labels}; --images DIR names the folder")
    print(f"\nresults in {output}: comparison.html, comparison.json")
    return 0


def _images(values: Namespace, labels: Labels) -> Path | None:
    """The folder of a COCO file's images; None where none is named or there, and for labels that know their own."""
    if not isinstance(labels, Path):
        return None
    usual = labels.parent / "images"
    return Path(values.images) if values.images else usual if usual.is_dir() else None


def _is_results(name: str) -> bool:
    return name.endswith(".json")


COCO_LIMIT = 100


def _results(name: str, values: Namespace, labels: Labels, images: Path | None, folder: Path) -> tuple[Path, int]:
    """The file of COCO results that `name` is, or that the model of this name finds; detections that count."""
    if _is_results(name):
        return Path(name), COCO_LIMIT
    from maskrcnn.evaluator import evaluate
    from maskrcnn.loading import load

    model = load(name, values.device, values.precision)
    limit = values.max_detections or model.config.evaluation.max_detections
    print(f"{name}: predicting")
    evaluate(
        model,
        labels,
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
    add_label_options(parser)
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
