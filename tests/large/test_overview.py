from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from large.drawn import CATEGORIES
from maskrcnn.large import overview as module
from maskrcnn.large.overview import Overview, seen_in
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.prediction import Prediction


def overview(found: Prediction) -> Prediction:
    shown = Overview()
    shown.add(found)
    return shown.prediction()


def test_a_window_is_an_image_of_its_own() -> None:
    """Of three squares one lies inside the window, one is cut by its edges, one lies outside."""
    bitmaps = np.zeros((3, 50, 70), np.uint8)
    for bitmap, (x, y) in zip(bitmaps, ((30, 20), (18, 8), (60, 40)), strict=True):
        bitmap[y : y + 6, x : x + 6] = 1
    found = Prediction(
        boxes=np.array([[30, 20, 36, 26], [18, 8, 24, 14], [60, 40, 66, 46]], np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        labels=np.zeros(3, np.int64),
        image_size=(50, 70),
        categories=CATEGORIES,
        source="nowhere",
        given_masks=PackedRLE.from_rles(map(encode_rle, bitmaps), (50, 70)),
    )
    pixels = np.full((20, 30, 3), 7, np.uint8)
    seen = seen_in(found, pixels, (20, 10, 50, 30))
    assert seen.boxes.tolist() == [[10, 10, 16, 16], [0, 0, 4, 4]]
    assert np.array_equal(seen.masks(), bitmaps[:2, 10:30, 20:50].astype(bool))
    assert seen.overlay().shape[:2] == (80, 120)


def test_an_image_too_large_to_draw_becomes_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """70 x 50 pixels at a third: each pixel the mean of nine, each box and mask a third as large."""
    monkeypatch.setattr(module, "MAX_PIXELS", 3000)
    monkeypatch.setattr(module, "MAX_SIDE", 24)
    monkeypatch.setattr(module, "_STRIP", 400)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    np.save(tmp_path / "image.npy", pixels)
    bitmap = np.zeros((50, 70), np.uint8)
    bitmap[6:18, 30:45] = 1
    found = Prediction(
        boxes=np.array([[30, 6, 45, 18]], np.float32),
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        image_size=(50, 70),
        categories=CATEGORIES,
        source=tmp_path / "image.npy",
        given_masks=PackedRLE.from_rles([encode_rle(bitmap)], (50, 70)),
    )
    small = overview(found)
    halves = Overview()
    halves.add(found[:0])
    halves.add(found)
    assert halves.prediction().to_coco() == small.to_coco()
    assert small.image_size == (17, 24)
    assert small.boxes.tolist() == [[10, 2, 15, 6]]
    assert small.masks()[0].nonzero()[0].tolist() == np.repeat(range(2, 6), 5).tolist()
    means = pixels[:48, :69].reshape(16, 3, 23, 3, 3).mean(axis=(1, 3))
    assert np.abs(small.image()[:16, :23] - means).max() <= 0.51
    monkeypatch.setattr(module, "MAX_PIXELS", 3500)
    assert overview(found) is found
