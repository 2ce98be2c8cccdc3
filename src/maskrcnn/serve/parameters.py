"""What a request asks for: the options of a prediction and the form of its answer, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request

from maskrcnn.prediction import Prediction
from maskrcnn.serve.answers import FORMATS, Answer
from maskrcnn.serve.compute import Options
from maskrcnn.serve.problems import Problem
from maskrcnn.settings import nearest
from maskrcnn.text import brief

_PICTURE = "image/png"

OPTIONS = ("score_threshold", "max_detections")
"""The names that `options_of` knows."""


def options_of(values: Mapping[str, Any]) -> Options:
    """The options among `values`, as text or as numbers; a `Problem` 422 where one makes no sense."""
    threshold = most = None
    if values.get("score_threshold") is not None:
        threshold = _number("score_threshold", values["score_threshold"])
        if not 0 <= threshold <= 1:
            raise Problem(422, f"score_threshold: expected a number from 0 to 1, got {brief(threshold)}")
    if values.get("max_detections") is not None:
        most = _number("max_detections", values["max_detections"])
        if not 1 <= most < 2**31 or most != int(most):
            raise Problem(422, f"max_detections: expected a whole number from 1 to 2147483647, got {brief(most)}")
    return Options(threshold, None if most is None else int(most))


def query_of(request: Request, *others: str) -> dict[str, str]:
    """The parameters behind the question mark; a `Problem` 422 for one that is unknown or given twice."""
    pairs = request.query_params.multi_items()
    require_known((name for name, _ in pairs), (*OPTIONS, *others))
    if len(pairs) > len(dict(pairs)):
        raise Problem(422, "a parameter was given twice; give each once")
    return dict(pairs)


def require_known(names: Iterable[str], known: Sequence[str]) -> None:
    """A `Problem` 422 for the first name that is none of those known: misspelt, it would change nothing."""
    for name in names:
        if name not in known:
            raise Problem(422, f"unknown parameter {brief(name)}; {nearest(name, known)}")


def format_of(request: Request, query: Mapping[str, str]) -> Callable[[Prediction], Answer]:
    """How to answer: what `format` names, else an overlay for those who accept a picture alone, else COCO's JSON."""
    accept = request.headers.get("accept", "")
    wants_picture = _PICTURE in accept and "json" not in accept and "*/*" not in accept
    name = query.get("format", "overlay" if wants_picture else "coco")
    if name not in FORMATS:
        raise Problem(422, f"unknown format {brief(name)}; {nearest(name, FORMATS)}")
    return FORMATS[name]


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Problem(422, f"{name}: expected a number, got {brief(value)}")
    return number
