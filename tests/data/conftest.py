"""Small data sets on disk."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.coco import LabelledImages, read_coco

Json = dict[str, Any]
SQUARE = [[2, 3, 6, 3, 6, 8, 2, 8]]
"""A polygon over x 2..6, y 3..8: 20 pixels."""


@pytest.fixture
def little_memory() -> Iterator[None]:
    """For a test that allocates no more than 50 MB at a time: of Python and NumPy, whatever the process held before."""
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50 << 20


@pytest.fixture
def square() -> Json:
    """An annotation without fault, in the 10 x 12 (width x height) image 1."""
    return {"id": 1, "image_id": 1, "category_id": 7, "bbox": [2, 3, 4, 5], "segmentation": SQUARE, "iscrowd": 0}


@pytest.fixture
def make_coco(tmp_path: Path) -> Callable[..., Json]:
    """Write 10 x 12 images `1.png`, `2.png`, ... of random colours; returns the content of a COCO file for them."""

    def make(annotations: list[Any], num_images: int = 1) -> Json:
        pixels = np.random.default_rng(0).integers(0, 256, (num_images, 12, 10, 3), dtype=np.uint8)
        images = []
        for number, values in enumerate(pixels, start=1):
            Image.fromarray(values).save(tmp_path / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": 10, "height": 12})
        categories = [{"id": 7, "name": "cell"}, {"id": 9, "name": "dot"}]
        return {"images": images, "annotations": annotations, "categories": categories}

    return make


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., LabelledImages]:
    """Write a COCO file beside the images and read it."""

    def write_and_read(content: Any, **options: Any) -> LabelledImages:
        path = tmp_path / "labels.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_coco(path, tmp_path, **options)

    return write_and_read
