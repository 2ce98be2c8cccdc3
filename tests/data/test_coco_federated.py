from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.data.formats.renumbering import Renumbering
from maskrcnn.structures.federated import Federated


def read(images: list[dict[str, Any]], categories: list[dict[str, Any]] | None = None) -> Federated | None:
    images = [{"id": number, "width": 9, "height": 9, **entry} for number, entry in enumerate(images, start=1)]
    categories = categories or [{"id": 5, "name": "a", "frequency": "r"}, {"id": 3, "name": "b", "frequency": "f"}]
    return read_coco({"images": images, "annotations": [], "categories": categories}).federated


def test_lists_become_labels_by_image() -> None:
    found = read([{"neg_category_ids": [5], "not_exhaustive_category_ids": [3, 5]}, {"neg_category_ids": ["3"]}, {}])
    assert found == Federated(("f", "r"), {1: (1,), 2: (0,)}, {1: (0, 1), 2: ()})
    assert read([{}, {"date": 1}]) is None


@pytest.mark.parametrize("value", [None, 5, "5", {"5": 1}, [None, [5], {}, True, 99, 1e300, -1, float("nan")], [[]]])
def test_what_is_no_list_of_known_classes_says_nothing(value: Any) -> None:
    found = read([{"neg_category_ids": value, "not_exhaustive_category_ids": value}])
    assert found is not None and found.absent == found.incomplete == {1: ()}


@pytest.mark.parametrize("value", [None, 1, "x", ["r"], {"r": 1}])
def test_a_frequency_that_is_none(value: Any) -> None:
    found = read([{"neg_category_ids": []}], [{"id": 1, "name": "a", "frequency": value}])
    assert found is not None and found.frequencies == ("",)


def test_lists_follow_when_classes_are_renumbered() -> None:
    """3 and 4 become one class, which is absent where both are; 5 is left out."""
    new = Renumbering({1: 10, 3: 30, 4: 30, 5: None})
    image = {"id": 9, "neg_category_ids": [4, 1, 3, 5, 77, [1]], "not_exhaustive_category_ids": [3, 5]}
    assert new.of(image) == {"id": 9, "neg_category_ids": [30, 10], "not_exhaustive_category_ids": [30]}
    assert new.of({"neg_category_ids": [4, 1]}) == {"neg_category_ids": [10]}
    plain = {"id": 9}
    assert new.of(plain) is plain
