"""`maskrcnn import-weights`: a model of torchvision or detectron2 as one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser
from maskrcnn.errors import UserError
from maskrcnn.text import one_line

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.config import Config
    from maskrcnn.weights.foreign import Imported, ImportHints


def main(arguments: Sequence[str]) -> int:
    """Convert one file, and say what it was taken for."""
    values = _parser().parse(arguments)
    output = Path(values.output)
    if output.suffix != ".safetensors":
        raise UserError(f"{output}: expected a name that ends in .safetensors for the converted weights")
    from maskrcnn.settings import parse_assignments, update_config
    from maskrcnn.weights import save_weights
    from maskrcnn.weights.foreign import import_foreign
    from maskrcnn.weights.hub import fetch, is_published

    source = fetch(values.weights) if is_published(values.weights) else Path(values.weights)
    imported = import_foreign(source, _hints(values))
    config = update_config(imported.config, parse_assignments(values.set), "--set")
    _require_fit(imported, config)
    summary = {"imported_from": source.name, "remarks": list(imported.remarks)}
    save_weights(output, imported.state_dict, config, imported.categories, summary)
    _report(imported, output)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        "import-weights",
        "Convert weights of torchvision or detectron2: Mask, Faster and Keypoint R-CNN, and ImageNet backbones. "
        "Nothing in the file is executed.",
    )
    parser.add_argument("weights", metavar="SOURCE", help="a .pth, .pkl or .safetensors file, or a published model")
    parser.add_argument("output", metavar="OUTPUT.safetensors", help="the converted model")
    parser.add_argument(
        "--source",
        choices=("auto", "torchvision", "detectron2"),
        default="auto",
        help="the library that wrote the weights (default: told from their names)",
    )
    parser.add_argument(
        "--categories",
        metavar="FILE.json",
        help='the classes: ["cat", "dog"] in the order of the outputs, or a COCO file (default: COCO\'s own where '
        "their number fits, else class_1, class_2, ...)",
    )
    parser.add_argument(
        "--detectron2-config",
        metavar="FILE.yaml",
        help="the config.yaml beside a detectron2 model: sizes, thresholds, order of the channels",
    )
    parser.add_argument(
        "--style",
        choices=("auto", "msra", "fair", "resnext", "torch"),
        default="auto",
        help="how a detectron2 model without config.yaml takes its images (default: as the published ones of its kind)",
    )
    parser.add_argument(
        "--key",
        default="",
        metavar="NAME",
        help="where in the file the weights lie, such as model_ema (default: the usual places, plain weights first)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="one setting; may be repeated"
    )
    return parser


def _hints(values: Namespace) -> ImportHints:
    from maskrcnn.weights.foreign import ImportHints
    from maskrcnn.weights.foreign.classes import read_categories
    from maskrcnn.weights.foreign.detectron2_yaml import read_detectron2_config

    return ImportHints(
        library=values.source,
        categories=read_categories(Path(values.categories)) if values.categories else None,
        style=values.style,
        key=values.key,
        settings=read_detectron2_config(Path(values.detectron2_config)) if values.detectron2_config else None,
    )


def _require_fit(imported: Imported, config: Config) -> None:
    """A setting given with --set may ask for another network than the weights are of."""
    if imported.is_backbone or config == imported.config:
        return
    from maskrcnn.weights.checkpoint import model_of_weights

    model_of_weights(config, imported.categories, imported.state_dict, "--set")


def _report(imported: Imported, output: Path) -> None:
    for remark in imported.remarks:
        print(remark)
    print(f"{len(imported.state_dict)} weights, none missing, none left over")
    if imported.is_backbone:
        print(f"a backbone alone: train from it with --init {output}")
        return
    names = imported.categories.names
    shown = ", ".join(map(one_line, names[:10])) + (", ..." if len(names) > 10 else "")
    print(f"{len(names)} class{'es' * (len(names) != 1)}: {shown}")
    print(f"use it: maskrcnn predict IMAGES --model {output}")
