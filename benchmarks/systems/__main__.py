"""Run each system, and write the page."""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.ablations.subset import thinned
from benchmarks.ablations.table import markdown
from benchmarks.systems import __doc__ as purpose
from benchmarks.systems.family import EXCERPTS, SYSTEMS, Excerpt, System

SETTINGS = Path(__file__).with_name("short.yaml")

PROPOSE = "predict nuclei/images --model rpn-nuclei --score-threshold 0 --no-overlays --output regions"
REGIONS = "regions/predictions.json"
"""What the RPN alone finds, for the systems that have none."""


SHOWN = re.compile(r"AP|AP50|AR\d{3,}|mIoU|pixel accuracy")
"""Of the numbers that are printed."""


@dataclass(frozen=True)
class Row:
    """What one command did.

    Attributes:
        system: its title.
        data: name of the data set.
        command: as it is typed.
        steps: optimiser steps.
        seconds: processor time of training and evaluation.
        printed: the last lines about its quality.
    """

    system: str
    data: str
    command: str
    steps: int
    seconds: float
    printed: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Every system that is asked for; the page is written anew after each."""
    options = _parser().parse_args(arguments)
    folder: Path = options.output
    for name, excerpt in EXCERPTS.items():
        take_excerpt(options.data / name, folder / name, excerpt)
    for system in SYSTEMS:
        for name in system.data:
            if options.only in ("", system.preset):
                run(system, name, folder)
                write_page(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.systems", description=(purpose or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds the folders nuclei, facades and coco_mini")
    parser.add_argument("--output", type=Path, default=Path("outputs/systems"))
    parser.add_argument("--only", default="", metavar="PRESET", help="one system")
    return parser


def take_excerpt(source: Path, folder: Path, excerpt: Excerpt) -> None:
    """A data directory with fewer images, which are links."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for file in source.glob("*_*.json"):
        content = thinned(json.loads(file.read_text()), excerpt.train if "train" in file.name else excerpt.val)
        (folder / file.name).write_text(json.dumps(content))
        for image in content["images"]:
            link = folder / "images" / image["file_name"]
            if not link.is_symlink():
                link.symlink_to((source / "images" / image["file_name"]).resolve())


def run(system: System, data: str, folder: Path) -> None:
    """Train and evaluate by one command; with the RPN, let it propose regions by another."""
    done = folder / f"{system.preset}-{data}.json"
    if done.exists():
        return
    line = train_line(system, data)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = typed(line, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    done.write_text(json.dumps(asdict(Row(system.title, data, line, steps_of(text), seconds, last_lines(text)))))
    if system.preset == "rpn" and data == "nuclei":
        typed(PROPOSE, folder)


def train_line(system: System, data: str) -> str:
    """The command, without the name of the program."""
    settings = (*EXCERPTS[data].settings, *system.settings)
    words = [f"train --preset {system.preset} --data {data} --config short.yaml --init {system.start}"]
    words += [f"--set {setting}" for setting in settings]
    words += [f"--proposals {REGIONS}"] if system.is_given_regions else []
    return " ".join([*words, f"--output {system.preset}-{data}"])


def typed(line: str, folder: Path) -> str:
    """All that a command printed; its last lines are shown if it failed."""
    (folder / "short.yaml").write_text(SETTINGS.read_text())
    command = [sys.executable, "-m", "maskrcnn", *line.split()]
    print(f"== maskrcnn {line}", flush=True)
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"maskrcnn {line}\n{done.stdout[-2000:]}")
    return done.stdout


def steps_of(text: str) -> int:
    """How many steps training made."""
    return int(re.findall(r"^step (\d+)/\d+ ", text, re.MULTILINE)[-1])


def last_lines(text: str) -> str:
    """Of the tables at the end: `mask AP 0.1, AP50 0.2, AR200 0.3; box ...`."""
    return "; ".join(_rows([re.split(r"\s{2,}", line.rstrip()) for line in text.splitlines()]))


def _rows(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    heads: Sequence[str] = ()
    for cells in lines:
        if cells[0] == "" and {"AP", "mIoU"} & set(cells):
            heads = cells
        elif len(cells) != len(heads) or not heads:
            heads = ()
        else:
            wanted = [f"{head} {cell}" for head, cell in zip(heads, cells, strict=True) if SHOWN.fullmatch(head)]
            yield f"{cells[0]} {', '.join(wanted)}"


def write_page(folder: Path) -> None:
    """`systems.md`: a table of what is done so far."""
    rows = []
    for system in SYSTEMS:
        for name in system.data:
            file = folder / f"{system.preset}-{name}.json"
            if file.exists():
                row = Row(**json.loads(file.read_text()))
                rows.append(
                    [row.system, row.data, f"`{row.command}`", str(row.steps), f"{row.seconds:.0f}", row.printed]
                )
    heads = ["system", "data", "command: `maskrcnn` ...", "steps", "seconds", "what it printed"]
    (folder / "systems.md").write_text(markdown([heads, *rows]), encoding="utf-8")


if __name__ == "__main__":
    main()
