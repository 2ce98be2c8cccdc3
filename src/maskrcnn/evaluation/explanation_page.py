"""The errors of an evaluation as sections of its report."""

from __future__ import annotations

from collections.abc import Sequence

from maskrcnn.evaluation.explanation import Errors, Explanation, SliceRow
from maskrcnn.evaluation.metrics import IouType, similarity_name
from maskrcnn.evaluation.page import html_table
from maskrcnn.evaluation.table import format_interval, format_number
from maskrcnn.text import one_line

MEANINGS = {
    "classification": "an object, well outlined, of another class",
    "localisation": "an object of this class, badly outlined (IoU 0.1 to 0.5)",
    "both": "an object of another class, badly outlined",
    "double": "an object that a better detection has found already",
    "background": "where no object is (IoU at most 0.1)",
    "missed": "an object that none of the above explains",
}

KEYPOINT_MEANINGS = {
    **MEANINGS,
    "classification": "an object, well met, of another class",
    "localisation": "an object of this class, its keypoints badly met (OKS 0.1 to 0.5)",
    "both": "an object of another class, badly met",
    "background": "where no object is (OKS at most 0.1)",
}
"""Of keypoints, with the thresholds of Ronchi and Perona (2017)."""

MOST_CLASSES = 12
"""Of a confusion matrix that is shown; with more, the confusions that are most frequent are listed."""


def explanation_sections(found: Explanation, kind: IouType) -> str:
    """Kinds of errors, confusions, thresholds, calibration and parts of the data; HTML."""
    errors = found.errors
    parts = [
        "" if errors is None else _kinds(errors) + _confusion(errors),
        _thresholds(found, similarity_name(kind)),
        _calibration(errors) if errors and errors.bins else "",
        _slices("images with", "images", found.slices, _IMAGES),
        _slices("objects", "count", found.object_slices, _OBJECTS),
    ]
    return f"<h2>What goes wrong ({kind})</h2>" + "".join(parts)


def _kinds(errors: Errors) -> str:
    rows = [
        [name, str(kind.count), format_number(kind.ap50_lost), MEANINGS[name]] for name, kind in errors.kinds.items()
    ]
    return (
        '<p class="quiet">Each wrong detection, whatever its score, and each missed object has one kind (TIDE, IoU '
        "0.5). The third column is how much AP50 would rise if this kind alone were put right.</p>"
        + html_table(("kind", "count", "AP50 lost", "what it is"), rows, bar_column=2)
    )


def _confusion(errors: Errors) -> str:
    note = (
        f'<p class="quiet">True class against predicted class, detections with a score of at least '
        f"{errors.threshold:.3g} (the best F1), IoU 0.5. Row none: found where nothing is; column none: missed.</p>"
    )
    if len(errors.class_names) <= MOST_CLASSES:
        names = [*map(_class, (*errors.class_names, None))]
        rows = [[name, *map(str, row)] for name, row in zip(names, errors.confusion.tolist(), strict=True)]
        return note + html_table(("true, predicted as", *names), rows)
    wrong = [row for row in errors.confusions() if row[0] != row[1]]
    most = sorted(wrong, key=lambda row: -row[2])[:MOST_CLASSES]
    listed = [[_class(true), _class(predicted), str(count)] for true, predicted, count in most]
    return note + html_table(("true", "predicted as", "count"), listed)


def _class(name: str | None) -> str:
    return "none" if name is None else one_line(name, 40)


def _thresholds(found: Explanation, similarity: str) -> str:
    rows = [
        [
            f"{row.score:.3g}",
            *map(format_number, (row.precision, row.recall, row.f1)),
            f"{row.count_error:+.2f}",
            f"{row.count_error_size:.2f}",
        ]
        for row in found.thresholds
    ]
    return (
        f'<p class="quiet">What a score threshold gives at {similarity} 0.5. Who counts objects reads the last '
        "columns: how many too many or too few are found in an image, on average, and without the sign.</p>"
        + html_table(("score from", "precision", "recall", "F1", "too many", "off by"), rows)
    )


def _calibration(errors: Errors) -> str:
    rows = [[f"{score:.3f}", f"{right:.3f}", str(count)] for score, right, count in errors.bins]
    return (
        f"<details><summary>Calibration: scores are {format_number(errors.calibration_error)} off, on average</summary>"
        '<p class="quiet">Where a score of 0.8 means that eight of ten are right, both columns agree.</p>'
        + html_table(("mean score", "share that is right", "detections"), rows)
        + "</details>"
    )


_IMAGES = "Parts of the images, by the thirds of this data, and by their groups where the labels name any."
_OBJECTS = (
    "Parts of the objects; the others are ignored, and so is what meets them. Objects at the edge have pixels in the "
    "outermost row or column of their image."
)


def _slices(what: str, counted: str, slices: Sequence[SliceRow], note: str) -> str:
    if not slices:
        return ""
    rows = [[row.name, str(row.size), format_interval(row.ap)] for row in slices]
    return f'<p class="quiet">{note}</p>' + html_table((what, counted, "AP"), rows, bar_column=2)
