"""A step of the page, and the pieces of HTML that several steps are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Step:
    """One section of the page.

    Attributes:
        name: its address within the page, one word.
        title: the heading.
        source: where the papers say it.
        text: what happens and what to see, HTML.
        body: its figures, HTML.
        brief: what comes out, in a few words for the overview.
    """

    name: str
    title: str
    source: str
    text: str
    body: str
    brief: str


def figure(content: str, caption: str = "", style: str = "plate") -> str:
    """A picture on a card with its caption (HTML both)."""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="{style}">{content}{below}</figure>'


def row(figures: Iterable[str], style: str = "two") -> str:
    """Figures beside each other."""
    return f'<div class="{style}">{"".join(figures)}</div>'


def image(address: str, text: str) -> str:
    """A picture of numbers, its pixels shown as squares."""
    return f'<img class="pixels" src="{address}" alt="{escape(text)}">'


def level_legend(names: Sequence[str], notes: Sequence[str]) -> str:
    """The levels' colours, each with its name and a note."""
    items = "".join(
        f'<li><span class="swatch level-{i}"></span><b>{escape(name)}</b> {escape(note)}</li>'
        for i, (name, note) in enumerate(zip(names, notes, strict=True))
    )
    return f'<ul class="legend">{items}</ul>'


def key(style: str) -> str:
    """A short piece of line, to say in a caption what a colour means."""
    return f'<span class="stroke {style}"></span>'


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 object`, `2,000 proposals`; `plural` where it is more than an added s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
