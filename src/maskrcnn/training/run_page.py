"""RUN/index.html: how a run goes, to be left open in a browser; it loads itself anew while the run lasts.

One file beside small pictures, written in one instant each time; no script, nothing from elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.evaluation.style import STYLE
from maskrcnn.files import write_atomically
from maskrcnn.training.advice import advice
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.watched import read_index

SECONDS = 10.0
"""Between two writings while training goes on ..."""
SHARE = 100
"""... and so many times as long as the last one took."""
POINTS = 400
"""Of a curve; of more than twice as many every second one is dropped, so that long runs need no more memory."""

_WIDTH, _HEIGHT = 640, 220
_STYLE = (
    STYLE
    + """
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(220px, 100%), 1fr)); gap: 12px; }
.gallery img { width: 100%; display: block; border-radius: 5px; }
.gallery figcaption { font-size: 13px; overflow-wrap: anywhere; }
.plots { grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); }
@media (max-width: 520px) { body { padding: 20px 12px 40px; } }
"""
)

Points = Sequence[tuple[int, float]]


@dataclass
class RunPage:
    """Takes in the lines of the log, and writes the page now and then.

    Attributes:
        folder: of the run.
        steps: of the whole run.
        logged: lines of log.jsonl about steps, thinned out.
        measured: those about evaluations, without the numbers of single classes.
    """

    folder: RunFolder
    steps: int
    logged: list[Mapping[str, Any]] = field(default_factory=list)
    measured: list[Mapping[str, Any]] = field(default_factory=list)
    _due: float = 0.0

    def take(self, entry: Mapping[str, Any]) -> None:
        """One line of the log; what somebody has damaged is left out."""
        if entry["kind"] == "step" and entry.keys() >= _OF_A_STEP:
            self.logged.append(entry)
        elif entry["kind"] == "evaluation" and entry.keys() >= {"score", "metrics"}:
            self.measured.append({**entry, "metrics": _means(entry["metrics"])})
        for kept in (self.logged, self.measured):
            if len(kept) > 2 * POINTS:
                del kept[-2::-2]

    def add(self, entry: Mapping[str, Any]) -> None:
        """One more line of the log; the page is written if it is time, and after each evaluation."""
        self.take(entry)
        if entry["kind"] == "evaluation" or time.monotonic() >= self._due:
            self.write()

    def write(self, status: str = "") -> None:
        """Write the page; `status` is empty while the run goes on. A disk that is full does not end it."""
        began = time.monotonic()
        try:
            write_atomically(self.folder.page, self._html(status))
        except UserError:
            self._due = began + SHARE * SECONDS
            return
        now = time.monotonic()
        self._due = now + max(SECONDS, SHARE * (now - began))

    def _html(self, status: str) -> str:
        return render_page(self.folder, self.logged, self.measured, self.steps, status)


_OF_A_STEP = {"losses", "learning_rate", "images_per_second", "seconds_left", "memory_mib"}


def render_page(
    folder: RunFolder,
    logged: Sequence[Mapping[str, Any]],
    measured: Sequence[Mapping[str, Any]],
    steps: int,
    status: str,
) -> str:
    """The HTML of a run's page.

    Args:
        folder: of the run; the pictures of `folder.watched` are shown.
        logged: the lines of its log about steps.
        measured: those about evaluations.
        steps: of the whole run.
        status: what became of it; empty while it goes on.
    """
    refresh = "" if status else f'<meta http-equiv="refresh" content="{SECONDS:.0f}">'
    name = escape(folder.root.resolve().name)
    losses = _losses(logged)
    scores = [(entry["step"], entry["score"]) for entry in measured if entry["score"] is not None]
    skipped = sum(entry["losses"].get("total") is None for entry in logged)
    hints = "".join(f"<li>{escape(line)}</li>" for line in advice(losses.get("total", []), scores, skipped))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{refresh}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head>\n<body>\n<header><h1>{name}</h1>"
        f'<p class="quiet">{escape(_progress(logged, steps, status))}</p>'
        + (f'<ul class="warnings">{hints}</ul>' if hints else "")
        + f"</header>\n{_cards(logged, scores)}\n"
        + '<div class="plots">'
        + _plot("loss", losses)
        + _plot("validation", _scores(measured))
        + _plot("learning rate", {"learning rate": [(e["step"], e["learning_rate"]) for e in logged]})
        + f"</div>\n{_pictures(folder.watched)}\n</body></html>\n"
    )


def _progress(logged: Sequence[Mapping[str, Any]], steps: int, status: str) -> str:
    if not logged:
        return status or "nothing is logged yet"
    last = logged[-1]
    left = status or f"{timedelta(seconds=last['seconds_left'])} left"
    return f"step {last['step']} of {steps}, {left}, {last['images_per_second']} images/s, {last['memory_mib']} MiB"


def _cards(logged: Sequence[Mapping[str, Any]], scores: Points) -> str:
    cards = {}
    if scores:
        step, best = max(scores, key=lambda entry: entry[1])
        cards = {"newest score": f"{scores[-1][1]:.3f}", f"best score, step {step}": f"{best:.3f}"}
    if logged and (total := logged[-1]["losses"].get("total")) is not None:
        cards["loss"] = f"{total:.3f}"
    body = "".join(
        f'<div class="card"><b>{value}</b><span class="quiet">{name}</span></div>' for name, value in cards.items()
    )
    return f'<div class="cards">{body}</div>' if body else ""


def _losses(logged: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """The curve of each part of the loss, without what was not finite; the total first."""
    curves: dict[str, list[tuple[int, float]]] = {"total": []}
    for entry in logged:
        for name, value in entry["losses"].items():
            if value is not None:
                curves.setdefault(name, []).append((entry["step"], value))
    return curves


def _scores(measured: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """The AP of masks, boxes, keypoints, or the mIoU, by step."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for entry in measured:
        for name, number in entry["metrics"].items():
            curves.setdefault(name, []).append((entry["step"], number))
    return curves


def _means(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The one number of each kind."""
    found = {}
    for kind, numbers in metrics.items():
        name, value = ("mIoU", "mIoU") if kind == "semantic" else (f"{kind} AP", "AP")
        number = numbers.get(value) if isinstance(numbers, Mapping) else None
        if isinstance(number, int | float):
            found[name] = number
    return found


def _plot(title: str, curves: Mapping[str, Points]) -> str:
    """Curves over the steps, in one frame from 0 to the largest value."""
    shown = {name: points for name, points in curves.items() if points}
    if not shown:
        return ""
    everything = [point for points in shown.values() for point in points]
    last, top = max(step for step, _ in everything), max(max(value for _, value in everything), 1e-9)
    lines, keys = [], []
    for number, (name, points) in enumerate(shown.items()):
        places = " ".join(f"{_WIDTH * s / max(last, 1):.1f},{_HEIGHT * (1 - v / top):.1f}" for s, v in points)
        hue = f"hsl({(210 + 67 * number) % 360} 60% 50%)"
        mark = f'<circle cx="{_WIDTH}" cy="{_HEIGHT * (1 - points[-1][1] / top):.1f}" r="3" fill="{hue}"/>'
        lines.append(f'<polyline class="line" points="{places}" style="stroke:{hue}"/>{mark}')
        keys.append(f'<li><span class="key" style="border-color:{hue}"></span>{escape(name)} {points[-1][1]:.4g}</li>')
    return (
        f'<figure class="plot"><figcaption>{title}: 0 to {top:.3g}, steps 0 to {last}</figcaption>'
        f'<svg viewBox="-4 -6 {_WIDTH + 8} {_HEIGHT + 12}" role="img">'
        f'<path class="grid" d="M0 0H{_WIDTH}M0 {_HEIGHT / 2}H{_WIDTH}M0 {_HEIGHT}H{_WIDTH}"/>{"".join(lines)}</svg>'
        f'<ul class="legend">{"".join(keys)}</ul></figure>'
    )


def _pictures(folder: Path) -> str:
    """The same images at each evaluation, a row for each, the newest first."""
    parts = []
    for name, files in read_index(folder).items():
        figures = "".join(
            f'<figure><img src="{folder.name}/{escape(file)}" alt=""><figcaption>{escape(text)}</figcaption></figure>'
            for text, file in files
        )
        parts.append(f'<h3>{escape(name)}</h3><div class="gallery">{figures}</div>')
    return "<h2>The same images at each evaluation</h2>" + "".join(parts) if parts else ""
