"""What a data set holds and what is wrong with it, as one static HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.report import Case
from maskrcnn.errors import UserError
from maskrcnn.evaluation.parts import Part, around, is_huge, labelled_window
from maskrcnn.evaluation.pictures import overlay_found, overlay_truth
from maskrcnn.evaluation.style import STYLE
from maskrcnn.files import write_atomically
from maskrcnn.label_review.drawing import LONGEST_SIDE, draw_part, draw_stated, stated_window
from maskrcnn.label_review.histograms import histogram
from maskrcnn.label_review.quirks import quirks_of
from maskrcnn.label_review.suspects import Disagreement, Suspect, Unlabelled
from maskrcnn.scoring import ground_truth_of, opened_picture
from maskrcnn.structures.large_image import Window
from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.inline import inline_jpeg

EXAMPLES = 6
CLASSES_SHOWN = 100
SUSPECTS_SHOWN = 8
"""Of each kind."""
SHOWN_SCORE = 0.5
NEXT_SHOWN = 12

_STYLE = (
    STYLE
    + """
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(260px, 100%), 1fr)); gap: 14px; }
.gallery figure { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 10px; }
.gallery img { width: 100%; display: block; border-radius: 5px; }
.gallery figcaption { margin: 8px 2px 0; font-size: 13.5px; overflow-wrap: anywhere; }
.histograms { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(240px, 100%), 1fr)); gap: 18px; }
.histogram svg { width: 100%; height: 90px; border-bottom: 1px solid var(--rule); }
.histogram rect { fill: var(--bar); }
code { overflow-wrap: anywhere; }
@media (max-width: 520px) { body { padding: 20px 12px 40px; } .pair div { grid-template-columns: 1fr; } }
"""
)


@dataclass(frozen=True)
class Review:
    """Everything a page is made of.

    Attributes:
        title: the data set's name.
        splits: each with its report.
        lines: faults between splits, of images that cannot be decoded; each a line.
        suggestions: settings that fit the data.
        disagreements: by split, where a model was asked.
        unlabelled: images without labels, those to label next first.
    """

    title: str
    splits: Sequence[LabelledImages]
    lines: Sequence[str] = ()
    suggestions: Sequence[str] = ()
    disagreements: Sequence[Disagreement] = field(default_factory=list)
    unlabelled: Sequence[Unlabelled] = ()


def write_page(path: Path, review: Review) -> None:
    """Write the page.

    Raises:
        UserError: it cannot be written.
    """
    quirks = dict.fromkeys(line for split in review.splits for line in quirks_of(split))
    parts = [
        f"<header><h1>{escape(review.title)}</h1>{_warnings([*quirks, *review.lines])}</header>",
        _suggestions(review.suggestions),
        *(_split(split) for split in review.splits),
        *(_suspects(split, found) for split, found in zip(review.splits, review.disagreements, strict=False)),
        _next(review.unlabelled),
    ]
    write_atomically(
        path,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(review.title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n",
    )


def _warnings(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="warnings">{items}</ul>' if items else ""


def _suggestions(lines: Sequence[str]) -> str:
    items = "".join(f"<li><code>{escape(line)}</code></li>" for line in lines)
    return f"<h2>Settings that fit these objects</h2><ul>{items}</ul>" if items else ""


def _split(data: LabelledImages) -> str:
    report = data.report
    cards = {
        "images": report.num_images,
        "objects": report.num_objects,
        "ignored regions": report.num_ignored,
        "classes": len(data.categories),
        "faults": report.counts.total(),
    }
    body = "".join(f'<div class="card"><b>{n}</b><span class="quiet">{name}</span></div>' for name, n in cards.items())
    return (
        f'<h2>{escape(report.source)}</h2><div class="cards">{body}</div>'
        + f'<div class="histograms">{_histograms(data)}</div>{_classes(data)}{_examples(data)}{_faults(data)}'
    )


def _histograms(data: LabelledImages) -> str:
    labels, kept = data.labels, ~data.labels.ignore
    boxes = labels.boxes[kept].double()
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt().numpy()
    images = np.repeat(np.arange(len(labels)), labels.first_object.diff().numpy())
    counts = np.bincount(images[kept.numpy()], minlength=len(labels)).astype(np.float64)
    heights, widths = labels.image_sizes.double().numpy().T
    shown = {
        "objects in an image": counts,
        "side of an object, pixels": sides,
        "image width": widths,
        "image height": heights,
    }
    return "".join(histogram(values, title) for title, values in shown.items())


def _classes(data: LabelledImages) -> str:
    """How many objects there are of each class, the most frequent first."""
    labels = data.labels
    counts = labels.labels[~labels.ignore].bincount(minlength=len(data.categories)).tolist()
    rows = sorted(zip(data.categories.names, counts, strict=True), key=lambda row: -row[1])
    most = max([1, *counts])
    body = "".join(
        f'<tr><td>{escape(name)}</td><td class="bar" style="--part:{100 * count / most:.1f}%">{count}</td></tr>'
        for name, count in rows[:CLASSES_SHOWN]
    )
    more = f'<p class="quiet">and {len(rows) - CLASSES_SHOWN} more</p>' if len(rows) > CLASSES_SHOWN else ""
    head = "<thead><tr><th>class</th><th>objects</th></tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>{more}'


def _examples(data: LabelledImages) -> str:
    """Images from the whole of the data set, with their labels; the fullest is among them."""
    counts = data.labels.first_object.diff()
    spread = np.linspace(0, len(counts) - 1, min(EXAMPLES, len(counts))).round().astype(int).tolist()
    chosen = dict.fromkeys([int(counts.argmax()), *spread])
    figures = [_figure(_truth(data, n), data.labels.file_name(n), f"{int(counts[n])} labels") for n in chosen]
    return f'<h2>Examples</h2><div class="gallery">{"".join(figures[:EXAMPLES])}</div>'


def _truth(data: LabelledImages, number: int) -> str | None:
    """The picture of an image with its labels; None where it cannot be read."""
    part = _part(data, number)
    return None if part is None else inline_jpeg(_overlay(data, number, part, None), LONGEST_SIDE)


def _overlay(data: LabelledImages, number: int, part: Part, results: list[dict[str, Any]] | None) -> ByteArray:
    """The labels of an image, or COCO results, over its picture or a part of that."""
    truth = ground_truth_of(data)
    if results is None:
        return overlay_truth(part, int(data.labels.image_ids[number]), truth)
    return overlay_found(part, results, truth)


def _part(data: LabelledImages, number: int, window: Window | None = None) -> Part | None:
    """An image; of a huge one a window, by default where most of its labels are. None where it cannot be read."""
    try:
        image = opened_picture(data, number, MAX_PIXELS)
        return Part.of(image, (window or labelled_window(data.labels, number)) if is_huge(image.size) else None)
    except UserError:
        return None


def _figure(address: str | None, name: str, text: str) -> str:
    picture = "" if address is None else f'<img src="{address}" alt="{escape(name)}" loading="lazy">'
    return f"<figure>{picture}<figcaption><b>{escape(name)}</b> {escape(text)}</figcaption></figure>"


def _faults(data: LabelledImages) -> str:
    """Each kind of fault: how often, what is done about it, and the first cases, drawn where that can be."""
    report, parts = data.report, list[str]()
    cases = {fault: list(group) for fault, group in groupby(sorted(report.cases, key=_kind), lambda case: case.fault)}
    for fault, count in report.counts.most_common():
        wrong, done = fault.value
        figures = "".join(_case(data, case) for case in cases.get(fault, []))
        parts.append(f'<h3>{count} × {escape(wrong)}</h3><p>{escape(done)}.</p><div class="gallery">{figures}</div>')
    note = '<p class="quiet">Red: the outline as it is stated; orange: the stated box.</p>'
    return f"<h2>Faults</h2>{note}{''.join(parts)}" if parts else "<h2>Faults</h2><p>None.</p>"


def _kind(case: Case) -> str:
    return case.fault.name


def _case(data: LabelledImages, case: Case) -> str:
    number = _image_of(data, case)
    text = case.line.removeprefix(f"{data.report.source}: ")
    if number is None:
        return _figure(None, "", text)
    window = stated_window(case.entry, data.labels.size(number))
    part = _part(data, number, window) if case.entry else None
    address = _truth(data, number) if part is None else draw_stated(part, case.entry)
    return _figure(address, data.labels.file_name(number), text)


def _image_of(data: LabelledImages, case: Case) -> int | None:
    """The number of the image a case is in: the one noted, or the one whose file is called as its label file."""
    if case.image_id is not None:
        found = (data.labels.image_ids == case.image_id).nonzero()
        return int(found[0]) if len(found) else None
    stem = Path(case.line.removeprefix(f"{data.report.source}: ").partition(":")[0]).stem
    names = (number for number, name in enumerate(data.labels.file_names) if stem and Path(name).stem == stem)
    return next(names, None)


def _suspects(data: LabelledImages, found: Disagreement) -> str:
    """Likely mistakes of the labels: the labels beside what the model found."""
    parts = []
    for kind, group in groupby(found.suspects, lambda suspect: suspect.kind):
        of_kind = list(group)
        shown = "".join(_suspect(data, found, suspect) for suspect in of_kind[:SUSPECTS_SHOWN])
        parts.append(f"<h3>{len(of_kind)} × {escape(kind)}</h3>{shown}")
    heading = f"<h2>What the model disagrees with: {escape(data.report.source)}</h2>"
    return heading + _warnings(found.notes) + ("".join(parts) or "<p>Nothing.</p>")


def _suspect(data: LabelledImages, found: Disagreement, suspect: Suspect) -> str:
    image_id = int(data.labels.image_ids[suspect.image])
    sure = [entry | {"image_id": image_id} for entry in found.results[suspect.image] if entry["score"] >= SHOWN_SCORE]
    (x1, y1, x2, y2), size = suspect.box, data.labels.size(suspect.image)
    part = _part(data, suspect.image, around(np.array([x1 + x2, y1 + y2]) / 2, size))
    overlays = [] if part is None else [_overlay(data, suspect.image, part, results) for results in (None, sure)]
    pictures = "".join(
        f'<img src="{draw_part(overlay, part, suspect.box)}" alt="" loading="lazy">'
        for overlay in overlays
        if part is not None
    )
    name = escape(data.labels.file_name(suspect.image))
    label = "" if suspect.object is None else data.categories.names[int(data.labels.labels[suspect.object])]
    said = [
        f"labelled {label}" if label else "",
        f"found {suspect.found} ({suspect.score:.2f})" if suspect.found else "",
    ]
    return (
        f'<figure class="pair"><div>{pictures}</div><figcaption><b>{name}</b> '
        f"{escape(', '.join(filter(None, said)))}. Left the labels, right what was found.</figcaption></figure>"
    )


def _next(unlabelled: Sequence[Unlabelled]) -> str:
    if not unlabelled:
        return ""
    rows = "".join(
        f"<tr><td>{escape(item.name)}</td><td>{item.count}</td><td>{item.doubt:.2f}</td></tr>"
        for item in unlabelled[:NEXT_SHOWN]
    )
    head = "<thead><tr><th>image</th><th>detections</th><th>doubt</th></tr></thead>"
    return (
        f"<h2>What to label next</h2><p class='quiet'>{len(unlabelled)} images have no labels. Those in which the "
        f'model is least sure teach it most; doubt is 1 where every score is 0.5.</p><div class="scroll"><table>{head}'
        f"<tbody>{rows}</tbody></table></div>"
    )
