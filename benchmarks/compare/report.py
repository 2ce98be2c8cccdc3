"""Results as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.compare.scenarios import Scenario

from maskrcnn.benchmark.meter import REST
from maskrcnn.benchmark.stages import STAGE_NAMES

NONE = "–"
Result = Mapping[str, Any]
"""What `measure_scenario` returns."""


def report(run: Mapping[str, Any]) -> str:
    """A section for each scenario, below what the figures depend on.

    Args:
        run: with "machine", "commit", "date", "settings", "results" (of `measure_scenario`) and "failures".
    """
    return "\n".join(
        [_introduction(run), *map(_section, run["results"]), *(f"Not measured: {line}\n" for line in run["failures"])]
    )


def ratios(result: Result, name: str) -> list[float]:
    """How many times as long as ours a contender took, turn by turn."""
    seconds = {row["name"]: row["seconds"] for row in result["contenders"]}
    ours = result["contenders"][0]["name"]
    return [theirs / own for theirs, own in zip(seconds[name], seconds[ours], strict=True)]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" + "|--:" * (len(rows[0]) - 1) + "|", *body]) + "\n"


def _introduction(run: Mapping[str, Any]) -> str:
    machine, settings = run["machine"], run["settings"]
    where = machine.get("gpu", f"{machine['processor']} ({machine['instructions']}), {settings['threads']} thread(s)")
    return (
        "# Ours beside torchvision\n\n"
        f"{where}; matrix product {machine['matrix_peak'] / 1e9:.0f} GFLOP/s in float32. "
        f"maskrcnn {machine['maskrcnn']} at commit {run['commit']}, torch {machine['torch']}, "
        f"Python {machine['python']}; {run['date']}.\n\n"
        f"Medians of {settings['pairs']} turns; a ratio is the median over the turns of how many times ours fits in. "
        "Memory is the process's peak above the bare import of torch. Random weights, the same on both sides "
        "unless ours is a preset's network.\n"
    )


def _section(result: Result) -> str:
    scenario = Scenario.from_json(result["scenario"])
    agreement = f"Compared first: {result['agreement']}.\n" if result["agreement"] else "Ours alone.\n"
    versions = "; ".join(f"{row['name']}: {_versions(row['versions'])}" for row in result["contenders"])
    tables = [_totals(result, scenario)]
    if result["arithmetic"] is not None:
        tables.append(_stages(result))
    return "\n".join([f"## {scenario.name}\n", f"{scenario.title}. {agreement}", f"{versions}.\n", *tables])


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _totals(result: Result, scenario: Scenario) -> str:
    rows = [["", "ms", "images/s", "ours is faster by", "peak memory, MiB", "of ours"]]
    own_memory = _above_import(result["contenders"][0]["memory"])
    for row in result["contenders"]:
        seconds, memory = statistics.median(row["seconds"]), _above_import(row["memory"])
        ratio = statistics.median(ratios(result, row["name"]))
        share = NONE if memory is None or not own_memory else f"{memory / own_memory:.2f}"
        rows.append(
            [
                row["name"],
                f"{1e3 * seconds:.0f}",
                f"{scenario.images / seconds:.2f}",
                f"{ratio:.2f}",
                NONE if memory is None else f"{memory / 2**20:.0f}",
                share,
            ]
        )
    return markdown(rows)


def _above_import(memory: Mapping[str, int | None]) -> int | None:
    peak, start = memory["peak"], memory["import"]
    return None if peak is None or start is None else peak - start


def _stages(result: Result) -> str:
    """Milliseconds of every contender; speed and share of the peak of ours."""
    flop, peak = result["arithmetic"]["flop"], result["machine"]["matrix_peak"]
    columns = [row["stages"] for row in result["contenders"]]
    names = [row["name"] for row in result["contenders"]]
    rows = [["stage", *(f"{name}, ms" for name in names), "GFLOP", "GFLOP/s of ours", "of peak"]]
    for stage in _in_order(columns):
        seconds = [column.get(stage) for column in columns]
        times = [NONE if value is None else f"{1e3 * value:.1f}" for value in seconds]
        rows.append([stage, *times, *_speed(flop.get(stage, 0.0), seconds[0], peak)])
    whole = [statistics.median(row["seconds"]) for row in result["contenders"]]
    total = _speed(sum(flop.values()), whole[0], peak)
    rows.append(["whole", *(f"{1e3 * value:.1f}" for value in whole), *total])
    return markdown(rows)


def _speed(flop: float, seconds: float | None, peak: float) -> list[str]:
    if not flop or not seconds:
        return [NONE] * 3
    return [f"{flop / 1e9:.2f}", f"{flop / seconds / 1e9:.1f}", f"{100 * flop / seconds / peak:.0f} %"]


def _in_order(columns: Sequence[Mapping[str, float]]) -> list[str]:
    """The stages that any contender has."""
    return [stage for stage in (*STAGE_NAMES, REST) if any(stage in column for column in columns)]
