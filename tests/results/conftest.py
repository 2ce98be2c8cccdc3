"""Finished runs of three kinds: what the bundled model finds, several classes, and keypoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.loading import load
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.prediction import Prediction
from maskrcnn.results.finished import Finished
from maskrcnn.results.row import RunSettings
from maskrcnn.results.rows import ResultRows
from maskrcnn.structures import Categories, KeypointSchema

SETTINGS = RunSettings("m" * 64, 0.5, None, "float32", None)
NUCLEI = Path(__file__).resolve().parents[2] / "examples" / "nuclei_mini" / "images" / "fluorescence_515.png"
CLASSES = Categories((3, 7), ("round", "long, <thin>"))
PERSONS = Categories((1,), ("person",), (KeypointSchema(("nose", "left_eye", "right_eye"), ((0, 1), (0, 2))),))


def shapes() -> np.ndarray:
    """A disc, two parts, a ring with a hole, one that overlaps the disc, and a single pixel at the border."""
    y, x = np.mgrid[:60, :80]
    disc = (x - 20) ** 2 + (y - 20) ** 2 < 200
    parts = ((x > 50) & (x < 60) & (y > 5) & (y < 20)) | ((x > 65) & (y > 30) & (y < 50))
    far = (x - 30) ** 2 + (y - 44) ** 2
    return np.stack([disc, parts, (far < 150) & (far > 30), (x > 28) & (x < 44) & (y > 10) & (y < 26), (x + y) == 0])


def drawn(categories: Categories, source: Path, *, masks: bool = True) -> Prediction:
    """Those shapes, the classes in turn."""
    bitmaps = shapes()
    packed = PackedRLE.from_rles(map(encode_rle, bitmaps), (60, 80))
    keypoints = np.tile(np.array([[5.5, 6.5, 0.9], [10.25, 8.5, 0.2], [1, 1, 0.01]], np.float32), (5, 1, 1))
    return Prediction(
        boxes=packed.windows.astype(np.float32) + np.float32(0.25),
        scores=np.linspace(0.95, 0.55, 5).astype(np.float32),
        labels=np.arange(5) % len(categories),
        image_size=(60, 80),
        categories=categories,
        source=source,
        given_masks=packed if masks else None,
        keypoints=keypoints if categories.keypoints else None,
    )


MakeRun = Callable[..., Finished]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """A run over three images, of which the second has no objects and the third cannot be read.

    `found` is in the first, or else the shapes are.
    """

    def make(
        categories: Categories, *, masks: bool = True, pixel_size: float = 1.0, found: Prediction | None = None
    ) -> Finished:
        paths = [tmp_path / "in" / name for name in ("a.png", "more/b.png", "c.png")]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(path)
        rows = ResultRows(tmp_path / "predictions.jsonl", SETTINGS)
        first = found or drawn(categories, paths[0], masks=masks)
        rows.append(rows.found(str(paths[0]), first, 0.1))
        rows.append(rows.found(str(paths[1]), first[:0], 0.1))
        rows.append_failures([(str(paths[2]), "broken")])
        rows.close()
        return Finished(rows, [str(path) for path in paths], categories, pixel_size)

    return make


@pytest.fixture(scope="session")
def nuclei() -> Prediction:
    """What the bundled model finds in an example image."""
    return load("nuclei", "cpu").predict(NUCLEI, 0.5)


@pytest.fixture
def run_of_nuclei(nuclei: Prediction, tmp_path: Path) -> Finished:
    rows = ResultRows(tmp_path / "nuclei.jsonl", SETTINGS)
    rows.append(rows.found(str(NUCLEI), nuclei, 0.1))
    rows.close()
    return Finished(rows, [str(NUCLEI)], nuclei.categories)
