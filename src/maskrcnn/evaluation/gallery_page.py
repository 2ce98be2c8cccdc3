"""The pictures of single errors as a section of a report, and what the marks in its pictures mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from maskrcnn.evaluation.case_pictures import CasePicture
from maskrcnn.evaluation.error_cases import OF_ONE_IMAGE, WORST_SHOWN
from maskrcnn.evaluation.explanation_page import MEANINGS
from maskrcnn.evaluation.page import picture_that_opens

_OF_DETECTIONS = (
    '<li><i class="mark open">×</i>dashed with a cross: wrong</li>'
    '<li><i class="mark open">=</i>dashed with two bars: double, found once more</li></ul>'
)

COMPARED_MARKS = (
    '<ul class="legend"><li><i class="mark"></i>found, in the colour that its object or class has in the truth</li>'
    + _OF_DETECTIONS
)
"""Of detections beside the truth."""

MARKS = (
    '<ul class="legend"><li><i class="mark"></i>found, in the colour of its object or class in both pictures</li>'
    '<li><i class="mark open"></i>dashed in the truth: missed</li>' + _OF_DETECTIONS
)
"""Of the worst and the best images."""

_KEYS = (
    '<ul class="legend"><li><i class="mark open true"></i>object to find</li>'
    '<li><i class="mark open found"></i>detection</li>'
    '<li><i class="mark open better"></i>the better detection, of a double</li></ul>'
)


def error_section(errors: Mapping[str, Sequence[CasePicture]], meanings: Mapping[str, str] = MEANINGS) -> str:
    """The worst errors of each kind; HTML, nothing without any."""
    if not errors:
        return ""
    return (
        "<h2>The worst errors of each kind</h2>"
        f'<p class="quiet">Of wrong detections those with the highest scores, of missed objects the largest: up to '
        f"{WORST_SHOWN} of a kind and {OF_ONE_IMAGE} of an image. All detections that count are looked at, also those "
        f"below the score threshold.</p>{_KEYS}"
        + "".join(_kind(f"{kind.capitalize()}: {meanings[kind]}", own) for kind, own in errors.items())
    )


def _kind(title: str, pictures: Sequence[CasePicture]) -> str:
    figures = "".join(
        f'<figure class="case">{picture_that_opens(one.caption, one.picture)}'
        f"<figcaption><b>{escape(one.caption)}</b><br>{escape(one.image)}</figcaption></figure>"
        for one in pictures
    )
    return f'<h3>{title}</h3><div class="cases">{figures}</div>'
