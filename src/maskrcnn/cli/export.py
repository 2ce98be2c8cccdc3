"""`maskrcnn export`: a model for other engines, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from maskrcnn.cli.arguments import CommandParser, add_model_option


def main(arguments: Sequence[str]) -> int:
    """Record, verify, write."""
    values = _parser().parse(arguments)
    from maskrcnn.loading import load_network

    model = load_network(values.model, "cpu", accelerate=False)
    model.export(values.output, device=values.device)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        "export",
        "Write a model as an .onnx file that needs no PyTorch, with a .json file that says what it takes and gives. "
        "It is compared with the model first; where they differ, nothing is written.",
    )
    parser.add_argument("output", metavar="OUT.onnx", help="the file to write")
    add_model_option(parser)
    parser.add_argument(
        "--device",
        default="auto",
        help="the engine to verify with: onnxruntime or openvino (default: what is installed)",
    )
    return parser
