"""The page: it stands alone, says what the network did, and degrades with the model."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from maskrcnn.errors import UserError
from maskrcnn.inspection import Trace, trace_image, write_page
from maskrcnn.inspection.page import all_steps, render_page
from maskrcnn.model import Model
from maskrcnn.structures.masks import ByteArray

MakeModel = Callable[..., Model]

VOID = {"meta", "img", "br"}
NAMES = ["image", "maps", "anchors", "proposals", "levels", "cutting", "class", "masks", "result"]


class Page(HTMLParser):
    """Checks that tags close in order; collects tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def values(self, name: str) -> list[str]:
        return [value for own, value in self.attributes if own == name]


def text_of(html: str) -> str:
    return " ".join(Page(html).text.split())


def test_the_page_stands_alone_and_is_light(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    write_page(path, trace, "cells.png")
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    addresses = [value for value in page.values("src") + page.values("href") if not value.startswith("#")]
    assert addresses and all(address.startswith("data:image/") for address in addresses)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", html)
    assert "prefers-color-scheme: dark" in html
    assert path.stat().st_size < 2_000_000


def test_references_within_the_page_lead_somewhere(trace: Trace) -> None:
    page = Page(render_page(trace, "x"))
    targets = {value[1:] for value in page.values("href") if value.startswith("#")}
    assert targets == {*NAMES, "photo"} and targets <= set(page.values("id"))
    assert [name for name in page.values("id") if name in NAMES] == NAMES


def test_no_number_is_missing(trace: Trace) -> None:
    html = render_page(trace, "x")
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r'base64,[^"]*', "", html))
    for values in Page(html).values("viewbox"):
        assert all(float(side) > 0 for side in values.split()[2:])


def test_it_tells_what_happened(trace: Trace) -> None:
    text = text_of(render_page(trace, "cells.png"))
    region = trace.region
    assert text.startswith("cells.png: through the network") and region is not None
    assert "Object 2 is followed from its proposal to its mask" in text
    assert "as read120 × 90resized170 × 128padded192 × 128" in text
    assert f"{trace.num_anchors:,} anchors" in text and f"{len(trace.proposals)} proposals" in text
    assert f"Proposal {region.index + 1} (it becomes object 2)" in text
    assert "7 × 7 bins with 4 samples each" in text and "This model uses RoIAlign." in text
    assert f"{region.score:.3f}" in text and "3 masks of 28 × 28 probabilities" in text
    assert text.count("Mask R-CNN, section 3") >= 4 and "FPN, section 4.2, equation 1" in text


def test_names_are_escaped(trace: Trace) -> None:
    html = render_page(trace, "<script>alert('x')</script>")
    assert "<script" not in html and "class <0>" not in html
    assert "class <0>" in Page(html).text and "<script>alert('x')</script>" in Page(html).text


@pytest.mark.parametrize(
    ("sections", "expected", "missing"),
    [
        ({"one_level": True}, ["no pyramid", "a single map", "of 14 × 14 probabilities"], ["P2"]),
        ({"mask_head": {"enabled": False}}, ["it is Faster R-CNN", "this model gives boxes only"], ["mask of"]),
        ({"mask_head": {"loss": "softmax"}}, ["compete for every pixel", "4 masks of 28 × 28"], []),
        ({"mask_head": {"class_agnostic": True}}, ["One mask serves all classes", "1 mask of 28"], []),
        ({"roi": {"operator": "pool"}}, ["This model uses RoIPool"], []),
        ({"roi": {"sampling_ratio": 0}}, ["7 × 7 bins with"], []),
    ],
)
def test_every_kind_of_model(
    make_model: MakeModel, image: ByteArray, sections: dict[str, object], expected: list[str],
    missing: list[str],
) -> None:  # fmt: skip
    text = text_of(render_page(trace_image(make_model(**sections), image, score_threshold=0.1), "x"))
    assert [part for part in expected if part not in text] == []
    assert [part for part in missing if part in text] == []


@pytest.mark.parametrize("num_classes", [1, 12, 13])
def test_one_of_a_kind_is_said_in_the_singular(make_model: MakeModel, image: ByteArray, num_classes: int) -> None:
    """One sample, one class, one proposal, one mask or class left out."""
    model = make_model(
        num_classes, roi={"sampling_ratio": 1}, rpn={"post_nms_top_k_test": 1}, anchors={"ratios": (1.0,)}
    )
    text = text_of(render_page(trace_image(model, image, score_threshold=0.01), "x"))
    assert re.findall(r"(?<![\d.,]) 1 (?!is\b)[a-z]+s\b", text) == []
    assert "1 point between" in text and "1 sample each" in text and "about 1 box of" in text


def test_an_rpn_alone_ends_with_its_proposals(make_model: MakeModel, image: ByteArray) -> None:
    trace = trace_image(make_model(1, box_head={"enabled": False}, mask_head={"enabled": False}), image)
    assert [step.name for step in all_steps(trace)] == [n for n in NAMES if n not in ("cutting", "class", "masks")]
    assert "it is a region proposal network alone" in text_of(render_page(trace, "x"))


def test_nothing_found(make_model: MakeModel, image: ByteArray) -> None:
    text = text_of(render_page(trace_image(make_model(), image, score_threshold=1.0), "x"))
    assert "0 objects" in text and "This region scores too low" in text and "Object 1 is followed" not in text


def test_many_classes_are_cut_short(make_model: MakeModel, image: ByteArray) -> None:
    html = render_page(trace_image(make_model(30), image, score_threshold=0.03), "x")
    assert "19 other classes with lower scores." in Page(html).text
    assert "18 masks of less likely classes not shown." in Page(html).text
    assert html.count('alt="mask: ') == 12


def test_a_page_that_cannot_be_written(trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="expected to write this file"):
        write_page(tmp_path / "file" / "page.html", trace, "x")
