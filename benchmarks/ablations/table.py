"""The runs' figures as Markdown tables, beside the paper's."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.ablations.experiments import Ablation, Figures, Variant

METRICS = ("AP", "AP50", "AP75")

Result = Mapping[str, Mapping[str, float]]
"""Of one run: fractions by "mask" and "box", then by name of the metric."""
Results = Mapping[str, Mapping[int, Result]]
"""Of one ablation: by variant, then by seed."""


def ablation_table(ablation: Ablation, results: Results) -> str:
    """One table per kind of AP; a row per variant, its figures here and in the paper, and how far the last is ahead."""
    tables = [_table(ablation, kind, results) for kind in ablation.kinds]
    heading = f"## {_heading(ablation)}\n\nThe paper: {ablation.where}.\n"
    return "\n".join([heading, *tables])


def _heading(ablation: Ablation) -> str:
    return f"Table {ablation.name}: {ablation.title}" if ablation.name[0].isdigit() else ablation.title


def _table(ablation: Ablation, kind: str, results: Results) -> str:
    choice = ablation.variants[-1]
    heads = [f"{kind} AP of", "seeds", *METRICS, "paper", f"{choice.name} is ahead by", "paper"]
    rows = [_row(variant, choice, kind, results) for variant in ablation.variants]
    return markdown([heads, *rows])


def _row(variant: Variant, choice: Variant, kind: str, results: Results) -> list[str]:
    own, best = results.get(variant.name, {}), results.get(choice.name, {})
    cells = [variant.name, str(len(own))]
    cells += [mean_and_spread([100 * result[kind][metric] for result in own.values()]) for metric in METRICS]
    cells.append(_figures(variant.paper.get(kind)))
    if variant is choice:
        return [*cells, "", ""]
    # Runs of one seed see the same batches in the same order, so their differences vary less than the runs do.
    seeds = sorted(own.keys() & best.keys())
    ahead = [100 * (best[seed][kind]["AP"] - own[seed][kind]["AP"]) for seed in seeds]
    return [*cells, mean_and_spread(ahead, sign=True), _paper_difference(variant, choice, kind)]


def mean_and_spread(values: Sequence[float], *, sign: bool = False) -> str:
    """`31.2 ± 0.4`: mean and sample standard deviation; without spread for a single value, a dash for none."""
    if not values:
        return "–"
    mean = format(round(statistics.mean(values), 1) + 0.0, "+.1f" if sign else ".1f")  # + 0.0: never "-0.0"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


def _figures(figures: Figures | None) -> str:
    return "–" if figures is None else " / ".join("–" if value is None else f"{value:.1f}" for value in figures)


def _paper_difference(variant: Variant, choice: Variant, kind: str) -> str:
    own, best = variant.paper.get(kind), choice.paper.get(kind)
    if own is None or best is None or own[0] is None or best[0] is None:
        return "–"
    return f"{best[0] - own[0]:+.1f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table, its heads first."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body]) + "\n"
