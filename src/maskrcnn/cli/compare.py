"""`maskrcnn compare`: is B better than A, or is it chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import (
    CommandParser,
    add_batch_size_option,
    add_crowd_option,
    add_device_option,
    add_group_by_option,
    add_precision_option,
    number,
)
from maskrcnn.cli.labels import add_label_options, named_labels, require_one_place
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.compared_sides import Side
    from maskrcnn.data.formats.table import Labels


def main(arguments: Sequence[str]) -> int:
    """Find what A and B find, unless they are results already; compare, and write it down."""
    values = _parser().parse(arguments)
    require_one_place(values)
    from maskrcnn.comparing import compare_results
    from maskrcnn.label_rules import LabelRules
    from maskrcnn.loading import model_facts

    output, names = Path(values.output), {"A": values.first, "B": values.second}
    of_models = {letter: name for letter, name in names.items() if not _is_results(name)}
    _require_common_ways(values, of_models)
    models = {letter: model_facts(name) for letter, name in of_models.items()}
    rules = LabelRules(models, values.crowd, values.group_by)
    keypoints = bool(models) and all(model.categories.keypoints is not None for model in models.values())
    labels = named_labels(values, list(of_models.values()), has_keypoints=keypoints, given=len(models) < 2)
    images = _images(values, labels)
    first, second = (_side(name, values, labels, images, output / letter.lower()) for letter, name in names.items())
    compare_results(
        labels,
        first,
        second,
        output,
        images=images,
        max_detections=max(_limit(values, first), _limit(values, second)),
        rules=rules,
        seed=values.seed,
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


def _limit(values: Namespace, side: Side) -> int:
    """How many detections of an image and class count."""
    return side.metrics.max_detections if side.metrics else values.max_detections or COCO_LIMIT


def _require_common_ways(values: Namespace, models: Mapping[str, str]) -> None:
    """Refuse before the first model's work what the second one cannot do."""
    from maskrcnn.loading import is_exported

    is_mixed = len({is_exported(name) for name in models.values()}) > 1
    if is_mixed and (values.device, values.precision) != ("auto", "float32"):
        raise UserError(
            "--device, --precision: a network and an exported model have none in common but auto and float32; leave "
            "them out, or give the results of one as a file"
        )


def _side(name: str, values: Namespace, labels: Labels, images: Path | None, folder: Path) -> Side:
    """The COCO results that `name` is, or that the model of this name finds; it is in memory no longer than that."""
    from maskrcnn.compared_sides import Side
    from maskrcnn.evaluator import evaluate
    from maskrcnn.loading import load

    if _is_results(name):
        return Side(Path(name), name)
    print(f"{name}: predicting")
    metrics = evaluate(
        load(name, values.device, values.precision),
        labels,
        images,
        folder,
        max_detections=values.max_detections,
        batch_size=values.batch_size,
        crowd=values.crowd,
        group_by=values.group_by,
        report=False,
        say=lambda line: None if "\n" in line else print(line),
    )
    return Side(folder / "predictions.json", name, metrics)


def _parser() -> CommandParser:
    parser = CommandParser("compare", "Compare two models, or two files of COCO results, on the same annotated images.")
    for place, letter in (("first", "A"), ("second", "B")):
        parser.add_argument(place, metavar=letter, help="a model as --model takes it elsewhere, or results (.json)")
    add_label_options(parser)
    parser.add_argument(
        "--output", default="comparison", metavar="DIR", help="where the results go (default: %(default)s)"
    )
    add_crowd_option(parser)
    add_group_by_option(parser)
    parser.add_argument(
        "--max-detections", type=number(int, 1), metavar="N", help="per image and class (default: the larger of both)"
    )
    parser.add_argument("--seed", type=number(int, 0), default=0, help="of the random halves (default: %(default)s)")
    add_batch_size_option(parser)
    add_device_option(parser)
    add_precision_option(parser)
    return parser
