"""The classes, and what tools write among them."""

from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.data.coco_categories import read_categories
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.errors import UserError


def read(entries: list[Any], *used: int) -> tuple[tuple[str, ...], list[Fault]]:
    """Names of the classes and the faults, where annotations are of the classes `used`."""
    report = DataReport("file")
    categories = read_categories(entries, set(used), report)
    return categories.names, list(report.counts)


def entry(number: int, name: str, above: str | None = None) -> dict[str, Any]:
    return {"id": number, "name": name, **({} if above is None else {"supercategory": above})}


def test_the_root_of_roboflow_is_named_and_kept() -> None:
    classes = [entry(0, "reef", "none"), entry(1, "fish", "reef"), entry(2, "trap", "reef")]
    assert read(classes, 1, 2) == (("reef", "fish", "trap"), [Fault.ROOT_CATEGORY])


def test_the_root_that_bears_the_name_of_a_class_is_left_out() -> None:
    classes = [entry(0, "fish", "none"), entry(1, "fish", "fish"), entry(2, "trap", "fish")]
    assert read(classes, 1, 2) == (("fish", "trap"), [Fault.ROOT_CATEGORY_TWICE])
    with pytest.raises(UserError, match="name fish appears twice"):
        read(classes, 0, 1, 2)


@pytest.mark.parametrize(
    "classes",
    [
        [entry(1, "person", "person"), entry(2, "car", "vehicle")],
        [entry(1, "animal", "none"), entry(2, "dog", "none")],
        [entry(1, "animal"), entry(2, "dog")],
        [entry(0, "fish", "none")],
    ],
)
def test_classes_without_objects_are_no_roots(classes: list[dict[str, Any]]) -> None:
    assert read(classes) == (tuple(c["name"] for c in classes), [])


def test_annotations_that_count_from_zero_where_the_classes_count_from_one() -> None:
    classes = [entry(1, "a"), entry(2, "b"), entry(3, "c")]
    with pytest.raises(UserError, match=r"file: expected category_id from 1 to 3, .* from 0 to 2, .* number both"):
        read(classes, 0, 1, 2)
    assert read(classes, 0, 3)[0] == ("a", "b", "c"), "an id that is wrong, but none that shifts the others"
    assert read(classes, 1, 2)[1] == read([entry(0, "a"), entry(1, "b")], 0)[1] == []


@pytest.mark.parametrize("bad", [None, {}, {"id": 1}, {"id": 1, "name": "a\nb"}, {"id": 1, "name": " "}, {"name": "a"}])
def test_entries_that_are_no_classes(bad: Any) -> None:
    with pytest.raises(UserError, match="file: expected categories with an id and a printable name"):
        read([entry(5, "good"), bad])
    with pytest.raises(UserError, match="expected at least one entry in categories"):
        read([])
