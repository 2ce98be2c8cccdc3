"""Open Images: a file of a public test suite, and masks of other sizes than their images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.open_images import resized

ReadForm = Callable[[Path, str], LabelContent]


def test_a_sample(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Two rows of two pixels of a mask of the image's size."""
    content = read_form(shared / "data/formats/openimages/v6", "open-images")
    result = found(content)
    assert (result.objects, result.ignored, result.area) == ({"Generic label #0": 1}, 0, 4)
    assert content.splits == ["train"]


def test_masks_take_the_size_of_their_image_by_the_nearest_pixel() -> None:
    mask = np.array([[1, 0], [0, 1]], bool)
    assert resized(mask, (4, 6)).tolist() == [[1, 1, 1, 0, 0, 0]] * 2 + [[0, 0, 0, 1, 1, 1]] * 2
    assert resized(np.kron(mask, np.ones((5, 5), bool)), (2, 2)).tolist() == mask.tolist()
    assert resized(mask, (2, 2)).tolist() == mask.tolist()
