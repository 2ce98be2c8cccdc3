"""A report to look at: one static HTML file that needs nothing else, neither network nor script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from maskrcnn.evaluation.curves import draw_curves
from maskrcnn.evaluation.explanation_page import KEYPOINT_MEANINGS, MEANINGS, explanation_sections
from maskrcnn.evaluation.gallery import NO_PICTURES, Gallery, make_gallery
from maskrcnn.evaluation.gallery_page import MARKS, error_section
from maskrcnn.evaluation.interval import FEWEST_GROUPS, Interval
from maskrcnn.evaluation.metrics import ClassMetrics, Metrics, TypeMetrics, detection_limit, similarity_name
from maskrcnn.evaluation.page import html_page, html_table, pictures_side_by_side
from maskrcnn.evaluation.pictures import Example, LoadImage
from maskrcnn.evaluation.pixel_pictures import LabelMaps, PixelExample, draw_pixel_examples
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.scores_page import scores_sections
from maskrcnn.evaluation.table import MOST_EMPTY, format_number, panoptic_tables, semantic_tables, summary_tables
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.files import write_atomically
from maskrcnn.text import one_line

CLASS_HEADS = ("class", "objects", "detections", "AP", "AP50", "AP75", "AR", "best score", "precision", "recall", "F1")

_HEADS = ("Truth", "Prediction")


def write_report(
    path: Path,
    metrics: Metrics,
    truth: GroundTruth,
    predictions: Sequence[Result],
    load_image: LoadImage,
    title: str = "Evaluation",
    label_maps: Sequence[LabelMaps] = (),
    names: Sequence[str] = (),
) -> None:
    """Write the report of an evaluation as one HTML file with everything inside.

    Args:
        path: the file to write.
        metrics: what `evaluate_coco` found.
        truth: the objects to find, as given to it.
        predictions: the COCO results, as given to it.
        load_image: gives an image by its id; asked only for the few that are shown.
        title: the headline, such as the names of model and data.
        label_maps: images to show the class of every pixel of.
        names: of the classes in these.

    Raises:
        UserError: an image cannot be read, or the file cannot be written.
    """
    gallery = make_gallery(metrics, truth, predictions, load_image)
    pixels = draw_pixel_examples(label_maps, load_image, names)
    write_atomically(path, render_report(metrics, gallery, title, pixels))


def render_report(
    metrics: Metrics,
    gallery: Gallery = NO_PICTURES,
    title: str = "Evaluation",
    pixels: Sequence[PixelExample] = (),
) -> str:
    """The HTML of a report."""
    sections = [
        _header(metrics, title),
        *(_objects(metrics, gallery) if metrics.by_type else ()),
        _panoptic(metrics),
        _pixels(metrics, pixels),
    ]
    return html_page(title, sections)


def _objects(metrics: Metrics, gallery: Gallery) -> list[str]:
    first = next(iter(metrics.by_type))
    meanings, similarity = KEYPOINT_MEANINGS if first == "keypoints" else MEANINGS, similarity_name(first)
    return [
        _cards(metrics),
        _summary_table(metrics),
        _curves(metrics),
        _classes(metrics),
        scores_sections(metrics),
        _explanations(metrics),
        error_section(gallery.errors, meanings),
        _examples("Worst images", "Sorted by the per-image score, worst first.", gallery.worst, similarity, MARKS),
        _examples(
            "Best images", "Sorted by the per-image score, best first. Marks as above.", gallery.best, similarity
        ),
        _footer(metrics),
    ]


def _pixels(metrics: Metrics, examples: Sequence[PixelExample]) -> str:
    """The numbers of the class of every pixel, and pictures."""
    if metrics.semantic is None:
        return ""
    tables = "".join(html_table(heads, rows) for heads, *rows in semantic_tables(metrics.semantic))
    return (
        '<h2>Every pixel</h2><p class="quiet">Pixels of crowds and of ignored regions do not count; IoU: those that '
        "are of a class and were said to be, among those that are or were said to be.</p>"
        + tables
        + "".join(map(_pixel_pair, examples))
    )


def _pixel_pair(example: PixelExample) -> str:
    maps = example.maps
    caption = f" (image {maps.image_id}): {format_number(maps.accuracy)} of the pixels are right."
    return pictures_side_by_side(_HEADS, (example.truth, example.prediction), maps.name, caption)


def _panoptic(metrics: Metrics) -> str:
    """The numbers of things and stuff together."""
    if metrics.panoptic is None:
        return ""
    tables = "".join(html_table(heads, rows) for heads, *rows in panoptic_tables(metrics.panoptic))
    return (
        '<h2>Things and stuff</h2><p class="quiet">Panoptic quality PQ = SQ × RQ. Each pixel belongs to one segment: '
        f"to an object with a score of at least {metrics.score_threshold:g}, or to stuff in what these leave. SQ is "
        "the mean IoU of those that were found (IoU above 0.5), RQ is TP / (TP + FP / 2 + FN / 2).</p>" + tables
    )


def _first(metrics: Metrics) -> TypeMetrics:
    """The numbers of masks where there are any, else of boxes."""
    return next(iter(metrics.by_type.values()))


def _header(metrics: Metrics, title: str) -> str:
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in metrics.warnings)
    return (
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="quiet">{metrics.num_images} images{_objects_counted(metrics) if metrics.by_type else "."}</p>'
        + (f'<ul class="warnings">{warnings}</ul>' if warnings else "")
        + "</header>"
    )


def _objects_counted(metrics: Metrics) -> str:
    objects = sum(row.num_truths for row in _first(metrics).classes)
    classes = len(_first(metrics).classes)
    return (
        f", {objects} objects, {classes} class{'es' * (classes != 1)}. "
        f"At most <b>{metrics.max_detections}</b> detections per image and class count (COCO's maxDets)"
        f"{_keypoint_limit(metrics)}. "
        f"Counted by {escape(metrics.evaluator)}."
    )


def _keypoint_limit(metrics: Metrics) -> str:
    if "keypoints" not in metrics.by_type:
        return ""
    limit = detection_limit("keypoints", metrics.max_detections)
    return f", {limit} for keypoints, which are compared by their similarity (OKS) instead of IoU"


def _cards(metrics: Metrics) -> str:
    """The few numbers most people look for."""
    cards = [
        (f"{kind} {name}{_interval(numbers, name)}", numbers[name])
        for kind, numbers in metrics.by_type.items()
        for name in (("AP", "AP50", "AP75") if numbers is _first(metrics) else ("AP",))
    ]
    cards.append((f"per-image AP50, score ≥ {metrics.score_threshold:g}", _first(metrics)["per_image_ap50"]))
    body = "".join(
        f'<div class="card"><b>{format_number(value)}</b><span class="quiet">{escape(label)}</span></div>'
        for label, value in cards
    )
    return f'<div class="cards">{body}</div>'


def _interval(numbers: TypeMetrics, name: str) -> str:
    """The 95 % interval behind the name of a number, where it is known."""
    bounds = None if numbers.intervals is None else numbers.intervals.summary[name].bounds()
    return "" if bounds is None else f", 95 %: {bounds[0]:.3f} to {bounds[1]:.3f}"


def _summary_table(metrics: Metrics) -> str:
    tables = "".join(html_table(heads, rows) for heads, *rows in summary_tables(metrics, intervals=True))
    per_image = "; ".join(
        f"{kind} {format_number(m['per_image_ap50'])} at {similarity_name(kind)} 0.5 and "
        f"{format_number(m['per_image_ap'])} over 0.5 to 0.95"
        for kind, m in metrics.by_type.items()
    )
    return (
        tables + f'<p class="quiet">s, m, l: objects below 32², up to 96², and above 96² pixels. ±: the 95 % interval; '
        f"±&nbsp;?: fewer than {FEWEST_GROUPS} groups of images have such objects, too few to tell. "
        f"Per image, TP / (TP + FP + FN) of the detections with a score of at least {metrics.score_threshold:g}: "
        f"{per_image}.</p>"
    )


def _curves(metrics: Metrics) -> str:
    plots = "".join(draw_curves(numbers.curves, kind) for kind, numbers in metrics.by_type.items())
    return (
        "<h2>Precision and recall</h2>"
        '<p class="quiet">Averaged over the classes; the number beside a curve is its mean, the AP.</p>'
        f'<div class="plots">{plots}</div>'
    )


def _classes(metrics: Metrics) -> str:
    """One table per IoU type, all but the first folded away."""
    tables = {iou_type: _class_table(numbers) for iou_type, numbers in metrics.by_type.items()}
    first, *others = tables
    folded = (f"<details><summary>The same for {kind}</summary>{tables[kind]}</details>" for kind in others)
    return (
        f"<h2>Classes ({first})</h2>"
        f'<p class="quiet">Best score: the score threshold that gives the highest F1 at {similarity_name(first)} 0.5, '
        "with the precision (share of the detections that are right) and recall (share of the objects that are found) "
        "it brings. A lower threshold finds more objects, a higher one makes fewer mistakes.</p>"
    ) + "".join([tables[first], *folded])


def _explanations(metrics: Metrics) -> str:
    """Of the first IoU type; of the others folded away."""
    sections = [
        explanation_sections(numbers.explanation, kind)
        for kind, numbers in metrics.by_type.items()
        if numbers.explanation is not None
    ]
    folded = (f"<details><summary>The same for the next</summary>{section}</details>" for section in sections[1:])
    return "".join([*sections[:1], *folded])


def _class_table(numbers: TypeMetrics) -> str:
    """A row for each class; of many that have no objects to find the names alone, folded away."""
    sure = numbers.intervals.classes if numbers.intervals else [{}] * len(numbers.classes)
    empty = [row for row in numbers.classes if not row.num_truths]
    is_long = len(empty) > MOST_EMPTY
    shown = [(row, own) for row, own in zip(numbers.classes, sure, strict=True) if row.num_truths or not is_long]
    table = html_table(CLASS_HEADS, [_class_row(row, own) for row, own in shown], bar_column=CLASS_HEADS.index("AP"))
    names = ", ".join(
        escape(one_line(row.name, 40)) + (f" ({row.num_predictions} found)" if row.num_predictions else "")
        for row in empty
    )
    folded = f"<details><summary>{len(empty)} classes without an object to find</summary><p>{names}</p></details>"
    return table + folded if is_long else table


def _class_row(row: ClassMetrics, sure: Mapping[str, Interval]) -> list[str]:
    counts = [str(row.num_truths), str(row.num_predictions)]
    aps = {"AP": row.ap, "AP50": row.ap50, "AP75": row.ap75}
    best = row.best
    numbers = (row.ar, best.score, best.precision, best.recall, best.f1)
    return [
        row.name,
        *counts,
        *(format_number(value, sure.get(name)) for name, value in aps.items()),
        *(format_number(number) for number in numbers),
    ]


def _examples(title: str, note: str, examples: Sequence[Example], similarity: str, marks: str = "") -> str:
    if not examples:
        return ""
    pairs = "".join(_pair(example, similarity) for example in examples)
    return f'<h2>{title}</h2><p class="quiet">{note}</p>{marks}{pairs}'


def _pair(example: Example, similarity: str) -> str:
    image = example.image
    objects = image.true_positives + image.false_negatives
    caption = (
        f" (image {image.image_id}): found {image.true_positives} of {objects}, "
        f"{image.false_positives} wrong; score {format_number(image.ap50)} at {similarity} 0.5, "
        f"{format_number(image.ap)} over 0.5 to 0.95."
    )
    return pictures_side_by_side(_HEADS, (example.truth, example.prediction), example.name, caption)


def _footer(metrics: Metrics) -> str:
    return (
        '<footer class="quiet">AP: average precision over IoU 0.50 to 0.95 in steps of 0.05; AR: average recall at '
        f"the number of detections in its name. The pictures show the detections with a score of at least "
        f"{metrics.score_threshold:g}; images without object and detection are not shown.</footer>"
    )
