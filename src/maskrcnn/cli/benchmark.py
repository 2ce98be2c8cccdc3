"""`maskrcnn benchmark`: how fast a model is on this machine, and where its time goes."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser, add_device_option, add_model_option, add_precision_option, number
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from maskrcnn.data.channels import Channels

DEFAULT_SIZE = (800, 1216)
"""(height, width) of synthetic images: what the papers' models make of an ordinary photograph."""

MAX_IMAGES = 8
"""Of a folder; they are all kept in memory, decoded."""


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table and write `benchmark.json`."""
    values = _parser().parse(arguments)
    import torch

    from maskrcnn.benchmark.measure import measure
    from maskrcnn.benchmark.table import format_measurement
    from maskrcnn.files import write_atomically
    from maskrcnn.loading import load_network

    if values.threads is not None:
        torch.set_num_threads(values.threads)
    _require_one_source(values)
    model = load_network(values.model, values.device, values.precision)
    images = _images(values, model.channels)
    threshold = None if values.images is None else 0.5
    measurement = measure(model, images, batch_size=values.batch, runs=values.runs, score_threshold=threshold)
    print(format_measurement(measurement, values.model))
    path = Path(values.output) / "benchmark.json"
    write_atomically(path, json.dumps({"model": values.model, **measurement.to_json()}, indent=1) + "\n")
    print(f"figures in {path}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        "benchmark",
        "Measure a model on this machine: time, arithmetic and memory of a prediction, stage by stage. "
        "Without --images, on synthetic images, and with as many objects as the model keeps.",
    )
    add_model_option(parser)
    parser.add_argument(
        "--image-size",
        type=image_size,
        metavar="HxW",
        help="of the synthetic images, pixels (default: 800x1216)",
    )
    parser.add_argument(
        "--images", metavar="FOLDER", help=f"your own images instead, the first {MAX_IMAGES} or as many as --batch"
    )
    parser.add_argument(
        "--batch", type=number(int, 1), default=1, metavar="N", help="images at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=number(int, 1), default=5, metavar="N", help="figures are medians of so many (default: 5)"
    )
    parser.add_argument("--threads", type=number(int, 1), metavar="N", help="of the CPU (default: PyTorch's choice)")
    parser.add_argument(
        "--output", default="benchmark", metavar="DIR", help="where benchmark.json goes (default: %(default)s)"
    )
    add_device_option(parser)
    add_precision_option(parser)
    return parser


def image_size(text: str) -> tuple[int, int]:
    """An argparse type: `800x1216` is (height, width)."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected height and width in pixels such as 800x1216, got {text!r}")
    return int(found[1]), int(found[2])


def _require_one_source(values: argparse.Namespace) -> None:
    if values.images is not None and values.image_size is not None:
        raise UserError("--image-size and --images: expected one of them, got both; your own images have their sizes")


def _images(values: argparse.Namespace, channels: Channels) -> list[Tensor]:
    from maskrcnn.benchmark.measure import synthetic_images
    from maskrcnn.sources import collect_sources, read_source

    if values.images is None:
        return synthetic_images(values.batch, values.image_size or DEFAULT_SIZE, channels=channels.count)
    paths = collect_sources([values.images])
    return [read_source(path, channels) for path in islice(paths, max(MAX_IMAGES, values.batch))]
