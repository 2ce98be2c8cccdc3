"""The command line: measure, say what was found, write the results."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import torch
from benchmarks.compare import __doc__ as purpose
from benchmarks.compare.duel import Contender, Settings, contenders, measure_scenario
from benchmarks.compare.plot import Points, draw_panels
from benchmarks.compare.protocol import ROOT, WorkerError
from benchmarks.compare.report import report
from benchmarks.compare.scenarios import SCENARIOS, SWEEPS, Scenario, Sweep

NAMES = tuple(scenario.name for scenario in SCENARIOS)
WITHOUT = (
    "torchvision: not measured, ours alone; an environment for it is made in two lines, see benchmarks/compare, and "
    "given with --torchvision-python or TORCHVISION_PYTHON"
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    rivals = contenders(_torchvision(options.torchvision_python))
    if len(rivals) == 1:
        print(WITHOUT, file=sys.stderr)
    settings = Settings(options.pairs, options.threads, options.device)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.what == "curves":
        measure_curves(SWEEPS, rivals[:2], settings, options.output)  # ours, and torchvision as installed
        return 0
    chosen = [scenario for scenario in SCENARIOS if scenario.name in options.only]
    return 1 if measure_all(chosen, rivals, settings, options.output) else 0


def measure_all(
    scenarios: Sequence[Scenario], rivals: Sequence[Contender], settings: Settings, output: Path
) -> list[str]:
    """Write `compare.json` and `compare.md`; the failures, a line each."""
    results, failures = _measured(scenarios, rivals, settings)
    if results:
        run = {**_circumstances(results[0], settings), "results": results, "failures": failures}
        (output / "compare.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        (output / "compare.md").write_text(report(run), encoding="utf-8")
        print(report(run))
    return failures


def measure_curves(sweeps: Sequence[Sweep], rivals: Sequence[Contender], settings: Settings, output: Path) -> None:
    """Write `curves.json` and `curves.svg`."""
    panels: dict[str, dict[str, Points]] = {}
    everything: list[dict[str, Any]] = []
    for sweep in sweeps:
        values = {scenario.name: value for value, scenario in sweep.points}
        results, _ = _measured([scenario for _, scenario in sweep.points], rivals, settings)
        everything += results
        panels[sweep.name] = {
            rival.name: [
                (values[result["scenario"]["name"]], statistics.median(row["seconds"]))
                for result in results
                for row in result["contenders"]
                if row["name"] == rival.name
            ]
            for rival in rivals
            if results
        }
        if everything:  # after each sweep: the whole takes long
            run = {**_circumstances(everything[0], settings), "results": everything, "curves": panels}
            (output / "curves.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
            (output / "curves.svg").write_text(draw_panels(panels, "seconds"), encoding="utf-8")
            print(f"curves in {output / 'curves.svg'}")


def _measured(
    scenarios: Sequence[Scenario], rivals: Sequence[Contender], settings: Settings
) -> tuple[list[dict[str, Any]], list[str]]:
    """The results, and what failed; one failure does not end the rest."""
    results, failures = [], []
    for scenario in scenarios:
        print(f"{scenario.name}: {scenario.title}", file=sys.stderr)
        try:
            with tempfile.TemporaryDirectory() as folder:
                results.append(measure_scenario(scenario, rivals, settings, Path(folder)))
        except WorkerError as error:
            print(f"error: {error}", file=sys.stderr)
            failures.append(str(error))
    return results, failures


def _circumstances(result: dict[str, Any], settings: Settings) -> dict[str, Any]:
    return {
        "machine": result["machine"],
        "commit": _commit(),
        "date": date.today().isoformat(),
        "settings": asdict(settings),
    }


def _commit() -> str:
    """Of this repository, and whether it has been changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except OSError:  # no git here
        return "unknown"
    return done.stdout.strip() or "unknown"


def _torchvision(python: Path | None) -> Path | None:
    if python is not None and not python.is_file():
        raise SystemExit(f"error: --torchvision-python {python}: expected the Python of an environment; no such file")
    return None if python is None else python.absolute()  # not resolved: an environment is known by its link


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=purpose,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=("scenarios", "curves"), default="scenarios")
    parser.add_argument("--only", type=_names, default=NAMES, metavar="A,B", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--pairs", type=_count, default=5, help="turns (default: %(default)s)")
    parser.add_argument("--threads", type=_count, default=torch.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    given = os.environ.get("TORCHVISION_PYTHON")
    parser.add_argument(
        "--torchvision-python",
        type=Path,
        default=Path(given) if given else None,
        metavar="FILE",
        help="the Python of an environment with torchvision (default: TORCHVISION_PYTHON)",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results", help="default: %(default)s")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(NAMES)}; got {', '.join(unknown)}")
    return names


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
