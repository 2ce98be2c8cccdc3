"""Parts that all HTML pages of an evaluation are made of: one static file that needs neither network nor script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from maskrcnn.evaluation.style import STYLE

NARROW_COLUMNS = 6
"""So many fit the width of a phone."""


def html_page(title: str, sections: Iterable[str]) -> str:
    """The whole document; empty sections are left out."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body></html>\n"
    )


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], bar_column: int | None = None) -> str:
    """A table of texts, escaped; `bar_column` also shows its fraction as a bar.

    On a narrow screen a row of many columns becomes a block of cells, each under its own head.
    """
    wide = len(heads) > NARROW_COLUMNS
    labels = [f' data-head="{escape(head)}"' if wide else "" for head in heads]
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(_cell(text, labels[i], bar=i == bar_column) for i, text in enumerate(row)) + "</tr>"
        for row in rows
    )
    kind = ' class="wide"' if wide else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str, label: str, *, bar: bool) -> str:
    if not bar:
        return f"<td{label}>{escape(text)}</td>"
    return f'<td{label} class="bar" style="--part:{_percent(text)}%">{escape(text)}</td>'


def _percent(text: str) -> str:
    """The fraction that a cell begins with, in percent; 0 for the dash of a number that could not be computed."""
    number = text.split(" ")[0]
    return "0" if number == "-" else f"{100 * float(number):.1f}"


def pictures_side_by_side(heads: Sequence[str], pictures: Sequence[str], name: str, caption: str) -> str:
    """Pictures of the image of this name, given as addresses; a click opens one large and another closes it.

    Args:
        heads: what stands above each.
        pictures: `data:` addresses.
        name: of the image.
        caption: what follows the name, HTML.
    """
    images = "".join(
        f'<div><p class="quiet">{escape(head)}</p>{picture_that_opens(f"{name}: {head}", address)}</div>'
        for head, address in zip(heads, pictures, strict=True)
    )
    return (
        f'<figure class="pair"><div class="pictures">{images}</div>'
        f"<figcaption><b>{escape(name)}</b>{caption}</figcaption></figure>"
    )


def picture_that_opens(text: str, address: str) -> str:
    """A picture that opens large when it is clicked; `text` says what it shows."""
    image = f'<img src="{address}" alt="{escape(text)}" loading="lazy">'
    return f'<label><input type="checkbox" hidden>{image}</label>'
