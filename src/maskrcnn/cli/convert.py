"""`maskrcnn convert`: labels of one form to another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser, add_naming_options
from maskrcnn.errors import UserError
from maskrcnn.text import counted

if TYPE_CHECKING:
    from maskrcnn.data.coco import LabelledImages


def main(arguments: Sequence[str]) -> int:
    """Read, check, write; says what was wrong and what the new form cannot say. 1 if there were faults."""
    values = _parser().parse(arguments)
    from maskrcnn.data.formats.naming import Naming
    from maskrcnn.data.formats.table import labelled_images, read_labels
    from maskrcnn.data.formats.writers import WRITERS, num_missing, write_form
    from maskrcnn.data.formats.writers.clean import clean_content, without_stuff
    from maskrcnn.data.formats.writers.scene import Scene

    source, target = Path(values.source), Path(values.target)
    if values.to not in WRITERS:
        raise UserError(f"--to {values.to}: expected one of {', '.join(WRITERS)}")
    require_new(target)
    content = read_labels(source, values.form, Naming.of_files(values.colours or "", values.class_map or ""))
    print(f"{source}: {content.form}")
    data = labelled_images(content, check_files=True, need_masks=False, crowd=values.crowd)
    _print_report(data)
    clean = clean_content(data, content)
    if data.report.num_stuff and values.to != "coco":
        clean = without_stuff(clean)
        print(f"{target}: {counted(data.report.num_stuff, 'region')} of stuff, which this form cannot say")
    loss = write_form(values.to, Scene(clean, data.folder), target)
    for sentence, count in loss.items():
        print(f"{target}: {count} {sentence}")
    written = data.report.num_objects - num_missing(loss)
    counts = f"{counted(data.report.num_images, 'image')}, {counted(written, 'object')}"
    print(f"{target}: {values.to}, {counts}")
    return 1 if data.report.counts else 0


def _parser() -> CommandParser:
    parser = CommandParser("convert", "Read labels of any known form and write them in another.")
    parser.add_argument("source", metavar="SRC", help="a folder of labels, or a label file")
    parser.add_argument("target", metavar="DST", help="a new folder")
    parser.add_argument(
        "--to",
        default="coco",
        metavar="FORM",
        help="coco, yolo, labelme, voc, masks, label-studio, cvat (%(default)s)",
    )
    parser.add_argument("--from", dest="form", metavar="FORM", help="the form of SRC, where it is not recognised")
    add_naming_options(parser)
    parser.add_argument(
        "--crowd", choices=("ignore", "object"), default="ignore", help="what COCO's iscrowd 1 means (%(default)s)"
    )
    return parser


def require_new(target: Path) -> None:
    """Two data sets in one folder would become one."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: expected a new or an empty folder, found something in it; name another")


def _print_report(data: LabelledImages) -> None:
    for line in data.report.lines:
        print(f"fault: {line}", file=sys.stderr)
    for line in data.report.summary():
        print(line)
