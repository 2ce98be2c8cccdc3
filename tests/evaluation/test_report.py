from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.errors import UserError
from maskrcnn.evaluation import Metrics, evaluate_coco
from maskrcnn.evaluation.page import html_table
from maskrcnn.evaluation.report import render_report, write_report
from maskrcnn.evaluation.table import format_table
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of
from maskrcnn.structures.large_image import LargeImage, WholeImage

VOID = {"meta", "img", "input", "path", "br"}


class Page(HTMLParser):
    """Checks that tags close in order; collects tags, addresses and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def grey(image_id: int) -> LargeImage:
    return WholeImage(np.full((40, 60, 3), 80, np.uint8))


@pytest.fixture
def html(tmp_path: Path, metrics: Metrics, truth: GroundTruth, predictions: list[dict[str, Any]]) -> str:
    path = tmp_path / "new folder" / "report.html"
    write_report(path, metrics, truth, predictions, grey, title="tiny on <val>")
    return path.read_text(encoding="utf-8")


def test_the_page_stands_alone(html: str) -> None:
    page = Page(html)
    assert page.addresses and all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", html)
    assert "prefers-color-scheme: dark" in html


def test_of_many_classes_without_objects_the_names_are_listed(metrics: Metrics) -> None:
    """LVIS has a thousand of them in most sets of images."""
    first = metrics["mask"].classes[0]
    empty = [replace(first, category_id=9 + k, name=f"<none {k}>", num_truths=0, num_predictions=k) for k in range(13)]
    for number in (12, 13):
        numbers = replace(metrics["mask"], classes=(first, *empty[:number]), intervals=None)
        page = render_report(replace(metrics, by_type={"mask": numbers}))
        folded = "<summary>13 classes without an object to find</summary><p>&lt;none 0&gt;, &lt;none 1&gt; (1 found), "
        assert (folded in page) == (number == 13)
        lines = format_table(replace(metrics, by_type={"mask": numbers})).splitlines()
        assert ("and 13 classes without an object to find" in lines) == (number == 13)
        assert sum(line.startswith("<none") for line in lines) == (12 if number == 12 else 0)
        assert page.count("<td>&lt;none ") + page.count('">&lt;none ') == (12 if number == 12 else 0)


def test_it_tells_the_numbers_and_their_settings(html: str) -> None:
    text = " ".join(Page(html).text.split())
    assert text.startswith("tiny on <val>")
    assert "3 images, 3 objects, 2 classes. At most 5 detections per image and class count" in text
    assert "0.554mask AP50" in text and "0.778per-image AP50, score ≥ 0.5" in text
    assert "IoU 0.50 0.554" in text
    assert "(image 1): found 1 of 2, 1 wrong; score 0.333 at IoU 0.5" in text
    assert text.count("(image 2)") == 1 and "(image 3)" not in text, "image 3 has nothing to show"


def test_names_are_escaped_everywhere(html: str, hostile_name: str) -> None:
    assert "<script" not in html and hostile_name not in html
    assert html.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;q&quot;") >= 5
    assert hostile_name in Page(html).text


def test_warnings_are_shown(metrics: Metrics) -> None:
    assert "<li>mind &lt;this&gt;</li>" in render_report(replace(metrics, warnings=("mind <this>",)))
    assert 'class="warnings"' not in render_report(metrics)


def test_every_ap_tells_how_sure_it_is() -> None:
    """8 of 24 medium objects are found in as many images."""
    images = [{"id": i, "width": 200, "height": 200} for i in range(24)]
    place = {"category_id": 1, "bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0}
    labels = {
        "images": images,
        "annotations": [{"id": i + 1, "image_id": i, **place} for i in range(24)],
        "categories": [{"id": 1, "name": "cell"}],
    }
    data = ground_truth_of(read_coco(labels, need_masks=False))
    found = [{"image_id": i, **place, "score": 0.5} for i in range(0, 24, 3)]
    metrics = evaluate_coco(data, found, 5, ("box",), explain=True)
    page = Page(render_report(metrics))
    sure = metrics["box"].intervals
    assert sure is not None
    assert sure.classes[0]["AP75"].standard_error == pytest.approx(sure.summary["APm"].standard_error)
    assert page.text.count(f"0.337 ± {sure.summary['AP'].margin:.3f}") == 7, "four in the summary, three of the class"
    row = metrics.to_dict()["per_class"]["box"][0]
    assert row["intervals"]["AP50"] == metrics.to_dict()["intervals"]["box"]["AP50"] == sure.summary["AP50"].bounds()
    assert metrics.to_dict()["intervals"]["box"]["APs"] is None and row["AP"] == pytest.approx(34 / 101)


def test_boxes_alone_and_nothing_at_all() -> None:
    image, category = {"id": 1, "width": 6, "height": 4}, {"id": 1, "name": "cell"}
    empty = ground_truth_of(read_coco({"images": [image], "annotations": [], "categories": [category]}))
    page = Page(render_report(evaluate_coco(empty, [], iou_types=("box",))))
    assert "box AP" in page.text and "mask" not in page.text and "Worst" not in page.text
    assert "1 class." in page.text and "nan" not in page.text


def test_an_image_that_cannot_be_read_is_an_error(
    tmp_path: Path, metrics: Metrics, truth: GroundTruth, predictions: list[dict[str, Any]]
) -> None:
    def broken(image_id: int) -> LargeImage:
        raise UserError(f"image {image_id} is gone")

    with pytest.raises(UserError, match="is gone"):
        write_report(tmp_path / "report.html", metrics, truth, predictions, broken)
    assert not (tmp_path / "report.html").exists()


def test_cells_of_wide_tables_name_their_columns_for_narrow_screens() -> None:
    heads = ["class", "a", "b", "c", "d", "e", "<f>"]
    assert html_table(heads, [["x", *"123456"]]).count("data-head=") == 7
    assert 'data-head="&lt;f&gt;"' in html_table(heads, [["x", *"123456"]])
    assert "data-head" not in html_table(heads[:6], [["x", *"12345"]])
