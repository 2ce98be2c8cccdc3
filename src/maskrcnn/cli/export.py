"""`maskrcnn export`: a model for other engines, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser, add_model_option
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace


def main(arguments: Sequence[str]) -> int:
    """Record, verify, write."""
    values = _parser().parse(arguments)
    _require_both_or_neither(values)
    from maskrcnn.loading import load_network

    model = load_network(values.model, "cpu", accelerate=False)
    if not values.int8:
        model.export(values.output, device=values.device)
        return 0
    from maskrcnn.export.writing import require_place
    from maskrcnn.quantisation import write_int8

    path = require_place(values.output)
    with TemporaryDirectory() as folder:
        exact = Path(folder) / path.name
        model.export(exact, device=values.device)
        write_int8(exact, path, values.calibrate, values.validate, values.images, device=values.device)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        "export",
        "Write a model as an .onnx file that needs no PyTorch, with a .json file that says what it takes and gives. "
        "It is compared with the model first; where they differ, nothing is written.",
    )
    parser.add_argument(
        "output",
        metavar="OUT.onnx",
        help="the file to write; OUT.pt2: the dense part for torch.export",
    )
    add_model_option(parser)
    parser.add_argument(
        "--device",
        default="auto",
        help="the engine to verify with: onnxruntime or openvino (default: what is installed)",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="backbone and pyramid in 8 bits: less than half the size, faster with VNNI, a little less accurate",
    )
    parser.add_argument("--calibrate", metavar="DIR", help="for --int8: images such as the model will see; 32 are used")
    parser.add_argument(
        "--validate", metavar="FILE", help="for --int8: labels to measure the loss of accuracy with, of any known form"
    )
    parser.add_argument("--images", metavar="DIR", help="the images of --validate, instead of images/ beside it")
    return parser


def _require_both_or_neither(values: Namespace) -> None:
    given = [name for name in ("calibrate", "validate", "images") if getattr(values, name) is not None]
    if values.int8 and not {"calibrate", "validate"} <= set(given):
        raise UserError(
            "--int8: expected --calibrate DIR and --validate FILE, since accuracy is measured before it is lost"
        )
    if given and not values.int8:
        raise UserError(f"--{given[0]} belongs to --int8")
