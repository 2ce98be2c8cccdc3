"""The parser of one command: errors of one line, and options several commands share.

Nothing here or at the top of a command's file may import PyTorch: `--help` answers at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from maskrcnn.errors import UserError
from maskrcnn.settings import nearest


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `UserError` instead of printing its usage and leaving."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"maskrcnn {command}", description=description, allow_abbrev=False)
        self.add_argument(
            "--debug",
            action="store_true",
            help="print the traceback of an unexpected error (or set MASKRCNN_DEBUG=1)",
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The values of `arguments`.

        Raises:
            UserError: an unknown option (naming the nearest), a missing or a malformed one.
        """
        values, unknown = self.parse_known_args(list(arguments))
        if not unknown:
            return values
        option = unknown[0].partition("=")[0]
        if not option.startswith("-"):
            raise UserError(f"unexpected argument {option!r}; see {self.prog} --help")
        raise UserError(f"unknown option {option}; {self._hint(option)}")

    def error(self, message: str) -> NoReturn:
        """Called by argparse for anything it cannot accept."""
        raise UserError(f"{message}; see {self.prog} --help")

    def _hint(self, option: str) -> str:
        options = [name for name in self._option_string_actions if name.startswith("--")]
        return f"{nearest(option, options)} (see {self.prog} --help)"


def add_model_option(parser: CommandParser) -> None:
    """`--model`: which weights."""
    parser.add_argument(
        "--model",
        default="nuclei",
        metavar="NAME|FILE|RUN",
        help="a bundled or published model (see `maskrcnn models`), a .safetensors file, the folder of a training "
        "run, or an exported .onnx file (default: %(default)s)",
    )


def add_device_option(parser: CommandParser) -> None:
    """`--device`: where to compute."""
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:<number>; for an .onnx model onnxruntime or openvino (default: %(default)s)",
    )


def add_precision_option(parser: CommandParser) -> None:
    """`--precision`: what the network computes in."""
    parser.add_argument(
        "--precision",
        default="float32",
        metavar="TYPE",
        help="float32, bfloat16 (fast on GPUs and on CPUs with AMX) or float16 (GPUs) (default: %(default)s)",
    )


OWN_THRESHOLD = "objects score above this (default: where the model did best on its validation images; else 0.5)"


def add_score_threshold_option(
    parser: CommandParser, meaning: str = OWN_THRESHOLD, default: float | None = None
) -> None:
    """`--score-threshold`: how sure the model must be; None: its own threshold."""
    parser.add_argument("--score-threshold", type=number(float, 0, 1), default=default, metavar="S", help=meaning)


def add_batch_size_option(parser: CommandParser) -> None:
    """`--batch-size`: images per pass through the network."""
    parser.add_argument(
        "--batch-size", type=number(int, 1), default=1, metavar="N", help="images at a time (default: %(default)s)"
    )


def add_group_by_option(parser: CommandParser) -> None:
    """`--group-by`: what tells groups of images apart."""
    parser.add_argument(
        "--group-by",
        default="",
        metavar="FIELD",
        help="of the image records: images with the same value, such as frames of a film, are kept together",
    )


def add_crowd_option(parser: CommandParser) -> None:
    """`--crowd`: whether crowds are objects."""
    parser.add_argument(
        "--crowd",
        choices=("ignore", "object"),
        help="what annotations with iscrowd 1 are (default: as the model was trained; for results ignore)",
    )


def add_naming_options(parser: CommandParser) -> None:
    """`--class-map`, `--colours`: names that the labels do not give."""
    parser.add_argument(
        "--class-map",
        metavar="FILE.yaml",
        help="other names for classes, a line `name in the labels: name wanted` each; null leaves a class out",
    )
    parser.add_argument(
        "--colours", metavar="FILE", help="classes of masks of colours, a line `name:red,green,blue` each"
    )


def add_proposals_option(parser: CommandParser) -> None:
    """`--proposals`: where a model without RPN looks."""
    parser.add_argument(
        "--proposals",
        metavar="FILE",
        help="COCO results with the boxes to look at, for a model without RPN; the predictions.json of an RPN will do",
    )


def number(kind: Callable[[str], float], low: float, high: float = float("inf")) -> Callable[[str], float]:
    """An argparse type: a number of this kind from `low` to `high`."""
    expected = f"a number of at least {low:g}" if high == float("inf") else f"a number from {low:g} to {high:g}"

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text}")
        return value

    return convert
