"""`maskrcnn inspect`: watch an image go through the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskrcnn.cli.arguments import (
    CommandParser,
    add_device_option,
    add_model_option,
    add_score_threshold_option,
    number,
)
from maskrcnn.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Trace one image and write the page."""
    values = _parser().parse(arguments)
    image, output = Path(values.image), Path(values.output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--output {output}: expected a name ending in .html, got {output.suffix!r}")
    from maskrcnn.inspection import trace_image, write_page
    from maskrcnn.inspection.step import count
    from maskrcnn.loading import load_network

    trace = trace_image(load_network(values.model, values.device), image, values.roi, values.score_threshold)
    write_page(output, trace, image.name)
    found = f"{count(len(trace.proposals), 'proposal')}, {count(len(trace.prediction), 'object')}"
    print(f"{image}: {found}; page in {output}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        "inspect", "Write one HTML page that shows an image going through the network, step by step."
    )
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    add_model_option(parser)
    parser.add_argument("--output", default="inspect.html", metavar="FILE.html", help="the page (default: %(default)s)")
    parser.add_argument(
        "--roi",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="which of the objects found to follow from proposal to mask, 1 for the best (default: %(default)s)",
    )
    add_score_threshold_option(parser)
    add_device_option(parser)
    return parser
