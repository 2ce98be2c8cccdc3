"""Metrics beside COCO's as a section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from maskrcnn.evaluation.metrics import Metrics
from maskrcnn.evaluation.page import NARROW_COLUMNS, html_table
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.table import format_interval


def scores_sections(metrics: Metrics) -> str:
    """Each with what it is, its numbers, and those of the classes folded away; HTML."""
    return "".join(_section(kind, scores) for kind, numbers in metrics.by_type.items() for scores in numbers.further)


def _section(kind: str, scores: Scores) -> str:
    head = f'<h2>{escape(scores.title)} ({kind})</h2><p class="quiet">{escape(scores.note)}</p>'
    tables = (
        html_table(names, [[format_interval(scores.numbers[name]) for name in names]])
        for names in _lines([*scores.numbers])
    )
    return head + "".join(tables) + _classes(scores)


def _lines(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """In as few parts as fit the width, about equally long."""
    count = -(-len(names) // NARROW_COLUMNS)
    bounds = [len(names) * part // count for part in range(count + 1)]
    return (names[start:end] for start, end in pairwise(bounds))


def _classes(scores: Scores) -> str:
    if len(scores.classes) < 2:
        return ""
    names = tuple(next(iter(scores.classes.values())))
    rows = [[name, *map(format_interval, own.values())] for name, own in scores.classes.items()]
    return f"<details><summary>By class</summary>{html_table(('class', *names), rows, bar_column=1)}</details>"
