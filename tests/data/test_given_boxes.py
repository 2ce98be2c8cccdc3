from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pytest

from maskrcnn.data.given_boxes import paired
from maskrcnn.errors import UserError

Form = Callable[[list[int]], Iterable[Any]]


@pytest.mark.parametrize("images", [list, iter])
@pytest.mark.parametrize("boxes", [list, iter, lambda numbers: count(numbers[0])])
def test_each_image_has_its_own(images: Form, boxes: Form) -> None:
    assert list(paired(images([1, 2]), boxes([10, 11]))) == [(1, 10), (2, 11)]


@pytest.mark.parametrize(
    ("images", "boxes", "message", "before"),
    [
        ([1, 2, 3], [10, 11], "each of 3 images, got those of 2", 0),
        ([1], [10, 11], "each of 1 image, got those of 2", 0),
        (iter([1, 2, 3]), [10, 11], "each image, got those of 2 images", 2),
        ([1, 2, 3], iter([10]), "each image, got those of 1 image", 1),
        (iter([1]), [10, 11], "each of 1 image, got those of 2", 1),
        ([1], [], "each of 1 image, got those of 0", 0),
    ],
)
def test_images_without_boxes_and_boxes_without_images(
    images: Iterable[int], boxes: Iterable[int], message: str, before: int
) -> None:
    """Known at once where both are lists, else when one of them ends."""
    came: list[tuple[int, int]] = []
    with pytest.raises(UserError, match=message):
        came.extend(paired(images, boxes))
    assert len(came) == before
