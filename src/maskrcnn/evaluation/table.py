"""Metrics as plain lines for a terminal or a log."""

from __future__ import annotations

import math
from collections.abc import Sequence

from maskrcnn.evaluation.interval import Interval
from maskrcnn.evaluation.metrics import ClassMetrics, IouType, Metrics, detection_limit
from maskrcnn.evaluation.panoptic import QUALITIES, PanopticMetrics
from maskrcnn.evaluation.semantic import SemanticMetrics
from maskrcnn.text import one_line

MOST_EMPTY = 12
"""Classes without objects that have a row of their own; of more it is said how many there are."""

CLASS_COLUMNS = ("objects", "candidates", "AP", "AP50", "AP75", "AR", "best score", "F1")
"""`candidates` are the detections that took part, of any score; `F1` is what the `best score` threshold gives at IoU
0.5."""


def format_table(metrics: Metrics) -> str:
    """The numbers with the settings they depend on, warnings first, one table per IoU type for the classes."""
    blocks = [
        *(f"warning: {warning}" for warning in metrics.warnings),
        *(_object_blocks(metrics) if metrics.by_type else ()),
        *(() if metrics.semantic is None else map(aligned, semantic_tables(metrics.semantic))),
        *(() if metrics.panoptic is None else map(aligned, panoptic_tables(metrics.panoptic))),
    ]
    return "\n\n".join(blocks)


def _object_blocks(metrics: Metrics) -> list[str]:
    return [
        settings_line(metrics),
        *map(aligned, summary_tables(metrics)),
        _per_image_line(metrics),
        *(_class_table(metrics, iou_type) for iou_type in metrics.by_type),
        *(
            aligned(
                [[scores.title, *scores.numbers], [kind, *(format_number(scores[name]) for name in scores.numbers)]]
            )
            for kind, numbers in metrics.by_type.items()
            for scores in numbers.further
        ),
    ]


def semantic_tables(metrics: SemanticMetrics) -> tuple[list[list[str]], list[list[str]]]:
    """The four numbers, and those of each class."""
    rows = [
        [one_line(row.name, 60), str(row.num_pixels), format_number(row.iou), format_number(row.accuracy)]
        for row in metrics.classes
    ]
    summary = [["", *metrics.summary], ["every pixel", *map(format_number, metrics.summary.values())]]
    return summary, [["every pixel, per class", "pixels", "IoU", "accuracy"], *rows]


def panoptic_tables(metrics: PanopticMetrics) -> tuple[list[list[str]], list[list[str]]]:
    """PQ, SQ and RQ of all classes, of things and of stuff, and those of each class."""
    groups = [
        [name, *map(format_number, qualities), str(classes)] for name, (*qualities, classes) in metrics.groups.items()
    ]
    rows = [
        [
            one_line(row.name, 60),
            "stuff" if row.is_stuff else "things",
            *map(str, (row.true_positives, row.false_positives, row.false_negatives)),
            *map(format_number, row.qualities),
        ]
        for row in metrics.classes
    ]
    return (
        [["panoptic", *QUALITIES, "classes"], *groups],
        [["panoptic, per class", "", "TP", "FP", "FN", *QUALITIES], *rows],
    )


def settings_line(metrics: Metrics) -> str:
    """What the numbers depend on, in one sentence."""
    limit = detection_limit("keypoints", metrics.max_detections)
    return (
        f"COCO metrics over {metrics.num_images} images; max_detections (maxDets) = {metrics.max_detections} "
        f"per image and class{f', {limit} for keypoints' * ('keypoints' in metrics.by_type)}."
    )


def format_number(value: float, sure: Interval | None = None) -> str:
    """Three decimals, and how far the 95 % interval reaches; a question mark where too few groups tell that.

    A dash without a number.
    """
    if not math.isfinite(value):
        return "-"
    if sure is None or (math.isnan(sure.margin) and not sure.has_too_few_groups):
        return f"{value:.3f}"
    return f"{value:.3f} ± {'?' if sure.has_too_few_groups else format(sure.margin, '.3f')}"


def format_interval(number: Interval) -> str:
    """The same of a number that has an interval."""
    return format_number(number.estimate, number)


def class_cells(row: ClassMetrics) -> list[str]:
    """What stands under `CLASS_COLUMNS`."""
    counts = [str(row.num_truths), str(row.num_predictions)]
    numbers = (row.ap, row.ap50, row.ap75, row.ar, row.best.score, row.best.f1)
    return counts + [format_number(number) for number in numbers]


def summary_tables(metrics: Metrics, *, intervals: bool = False) -> list[list[list[str]]]:
    """COCO's numbers in COCO's order, a row per IoU type under a row of names; types with other names apart.

    Args:
        metrics: the numbers.
        intervals: whether the APs are to tell how sure they are, where that is known.
    """
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    for kind, numbers in metrics.by_type.items():
        names = tuple(name for name in numbers.summary if not name.startswith("per_image"))
        known = numbers.intervals.summary if intervals and numbers.intervals else {}
        row = [kind, *(format_number(numbers[name], known.get(name)) for name in names)]
        tables.setdefault(names, [["", *names]]).append(row)
    return list(tables.values())


def _per_image_line(metrics: Metrics) -> str:
    numbers = "; ".join(
        f"{kind} {format_number(m['per_image_ap50'])} at IoU 0.5, {format_number(m['per_image_ap'])} over 0.5:0.95"
        for kind, m in metrics.by_type.items()
    )
    return f"Per image, TP/(TP+FP+FN) with score >= {metrics.score_threshold:g}: {numbers}."


def _class_table(metrics: Metrics, iou_type: IouType) -> str:
    classes = metrics[iou_type].classes
    empty = sum(not row.num_truths for row in classes)
    is_long = empty > MOST_EMPTY
    shown = [row for row in classes if row.num_truths or not is_long]
    rows = [[one_line(row.name, 60), *class_cells(row)] for row in shown]
    table = aligned([[f"{iou_type}, per class", *CLASS_COLUMNS], *rows])
    return f"{table}\nand {empty} classes without an object to find" if is_long else table


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart: the first flush left, numbers flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
