"""SA-1B: tiny files of a public test suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskrcnn.data.formats.content import LabelContent

ReadForm = Callable[[Path, str], LabelContent]


def test_samples(shared: Path, read_form: ReadForm, found: Any) -> None:
    """The mask of the first file has four pixels, by pycocotools; that of the second is for another size, and empty."""
    content = read_form(shared / "data/formats/segment_anything", "sa-1b")
    assert len(content.coco["images"]) == 2 and len(content.coco["annotations"]) == 2
    result = found(content)
    assert (result.objects, result.area) == ({"object": 1}, 4)
