"""LVIS's fields of COCO content: in which images a class was looked for, and how frequent it is.

https://www.lvisdataset.org/dataset: an image has `neg_category_ids` and `not_exhaustive_category_ids`, a category has a
`frequency`. What is no list of known classes says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from maskrcnn.json_values import id_number
from maskrcnn.structures import Categories
from maskrcnn.structures.federated import Federated

ABSENT, INCOMPLETE = "neg_category_ids", "not_exhaustive_category_ids"


def read_federated(images: Iterable[Any], categories: Iterable[Any], classes: Categories) -> Federated | None:
    """None where no image record has such a list.

    Args:
        images: COCO's list; of those with one id the first counts.
        categories: COCO's list.
        classes: what it was read as.
    """
    labels = {category_id: label for label, category_id in enumerate(classes.ids)}
    absent: dict[int, tuple[int, ...]] = {}
    incomplete: dict[int, tuple[int, ...]] = {}
    for entry in images:
        if isinstance(entry, dict) and (ABSENT in entry or INCOMPLETE in entry):
            number = id_number(entry.get("id"))
            if number is not None and number not in absent:
                absent[number] = _labels_of(entry.get(ABSENT), labels)
                incomplete[number] = _labels_of(entry.get(INCOMPLETE), labels)
    if not absent:
        return None
    said = {id_number(entry.get("id")): entry.get("frequency") for entry in categories if isinstance(entry, dict)}
    stated = (said.get(number) for number in classes.ids)
    return Federated(tuple(value if value in ("r", "c", "f") else "" for value in stated), absent, incomplete)


def _labels_of(values: Any, labels: Mapping[int, int]) -> tuple[int, ...]:
    numbers = map(id_number, values if isinstance(values, list) else ())
    return tuple(labels[number] for number in numbers if number is not None and number in labels)
