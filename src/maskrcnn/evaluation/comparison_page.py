"""A comparison as lines for a terminal and as a page to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from maskrcnn.evaluation.comparison import Comparison, Difference, ImageChange
from maskrcnn.evaluation.gallery_page import COMPARED_MARKS
from maskrcnn.evaluation.interval import FEWEST_GROUPS
from maskrcnn.evaluation.intervals import NUM_HALVES
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.page import html_page, html_table, pictures_side_by_side
from maskrcnn.evaluation.table import aligned, format_number
from maskrcnn.text import one_line

HEADS = ("A", "B", "B - A", "95 % interval", "p")

IMAGES_SHOWN = 6


def comparison_lines(comparisons: Mapping[IouType, Comparison], warnings: Sequence[str] = ()) -> str:
    """Warnings first, then the verdicts and all tables."""
    blocks = [f"warning: {warning}" for warning in warnings]
    for kind, found in comparisons.items():
        blocks.append(f"{kind}: {found.verdict}.")
        for title, rows in _parts(found).items():
            blocks.append(aligned([[title, *HEADS], *(_row(row) for row in rows)]))
    return "\n\n".join(blocks)


def comparison_page(
    title: str,
    comparisons: Mapping[IouType, Comparison],
    shown: Sequence[tuple[ImageChange, str, Sequence[str]]],
    warnings: Sequence[str],
) -> str:
    """The HTML of it; of each image `shown` the change, its name, and the pictures of truth, A and B."""
    first = next(iter(comparisons.values()))
    sections = [
        f"<header><h1>{escape(title)}</h1>"
        + "".join(f"<p><b>{kind}</b>: {escape(found.verdict)}.</p>" for kind, found in comparisons.items())
        + (f'<ul class="warnings">{"".join(f"<li>{escape(w)}</li>" for w in warnings)}</ul>' if warnings else "")
        + "</header>",
        *(_tables(kind, found) for kind, found in comparisons.items()),
        _pictures(shown),
        f'<footer class="quiet">Intervals: the differences on {NUM_HALVES} random halves of {first.num_groups} groups '
        f"of images (seed {first.seed}), the same halves for both, times 1.96; none is given where fewer than "
        f"{FEWEST_GROUPS} groups have objects of the kind. They tell chance in the choice of "
        "images, not in training: the same settings trained with another seed differ as well, so train each two or "
        "three times."
        "</footer>",
    ]
    return html_page(title, sections)


def _parts(found: Comparison) -> dict[str, Iterable[Difference]]:
    parts: dict[str, Sequence[Difference]] = {"": found.summary, "AP of a class": found.classes}
    parts["AP of images with"] = found.slices
    return {title: rows for title, rows in parts.items() if rows}


def _row(row: Difference) -> list[str]:
    change = row.change
    bounds = change.bounds()
    unknown = "too few groups" if change.has_too_few_groups else "-"
    interval = unknown if bounds is None else f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"
    difference = "-" if change.estimate != change.estimate else f"{change.estimate:+.3f}"
    mark = " *" if row.is_certain else ""
    numbers = [format_number(row.first), format_number(row.second)]
    return [one_line(row.name, 60), *numbers, difference + mark, interval, format_number(change.p_value)]


def _tables(kind: str, found: Comparison) -> str:
    tables = "".join(html_table([title, *HEADS], map(_row, rows)) for title, rows in _parts(found).items())
    return f'<h2>{kind.capitalize()}</h2><p class="quiet">*: the interval leaves out 0.</p>{tables}'


def _pictures(shown: Sequence[tuple[ImageChange, str, Sequence[str]]]) -> str:
    if not shown:
        return ""
    figures = "".join(
        pictures_side_by_side(
            ("Truth", "A", "B"),
            pictures,
            name,
            f" (image {change.image_id}): {format_number(change.first)} with A, {format_number(change.second)} with B.",
        )
        for change, name, pictures in shown
    )
    return (
        '<h2>Images that differ most</h2><p class="quiet">By TP / (TP + FP + FN) at IoU 0.5, each at its own best '
        f"score threshold.</p>{COMPARED_MARKS}{figures}"
    )
