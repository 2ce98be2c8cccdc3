"""Numbers of objects, strip by strip, against the whole label image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from large.drawn import CATEGORIES
from maskrcnn.large.strips import LabelStrips
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.prediction import Prediction

SIZE = 90, 70


def drawn(seed: int, count: int = 30) -> Prediction:
    """Boxes that overlap each other, some of them over many rows; one without a pixel; some equally good."""
    rng = np.random.default_rng(seed)
    bitmaps = np.zeros((count, *SIZE), np.uint8)
    for bitmap in bitmaps[1:]:
        y, x = rng.integers(0, SIZE[0] - 2), rng.integers(0, SIZE[1] - 2)
        bitmap[y : y + rng.integers(1, 60), x : x + rng.integers(1, 15)] = 1
    packed = PackedRLE.from_rles(map(encode_rle, bitmaps), SIZE)
    return Prediction(
        boxes=packed.windows.astype(np.float32),
        scores=rng.integers(5, 10, count).astype(np.float32) / 10,
        labels=np.zeros(count, np.int64),
        image_size=SIZE,
        categories=CATEGORIES,
        source="image.tif",
        given_masks=packed,
    )


def expected_numbers(found: Prediction) -> np.ndarray:
    """The definition: of all objects at a pixel the best, and of equals the first."""
    numbers, best = np.zeros(SIZE, np.uint32), np.zeros(SIZE)
    for number, (mask, score) in enumerate(zip(found.masks(), found.scores.tolist(), strict=True), start=1):
        wins = mask & (score > best)
        numbers[wins], best[wins] = number, score
    return numbers


@pytest.mark.parametrize("rows", [1, 7, 30, 90, 200])
@pytest.mark.parametrize("seed", range(3))
def test_strips_are_the_label_image_whatever_the_order_of_parts(rows: int, seed: int) -> None:
    """Also where a part that comes late has objects that begin at the top."""
    found = drawn(seed)
    parts = [found[:4], found[:0], found[4:5], found[5:]]
    labels = LabelStrips(lambda: iter(parts), SIZE)
    strips = list(labels.strips(rows))
    assert [len(strip) for strip in strips] == [min(rows, 90 - top) for top in range(0, 90, rows)]
    assert np.array_equal(np.concatenate(strips), expected_numbers(found))
    assert labels.areas.tolist() == found.masks().sum(axis=(1, 2)).tolist()


def test_parts_are_read_when_their_first_row_is_reached() -> None:
    """Top to bottom, as tiles give them: each is read for its own strip, not before."""
    read: list[int] = []

    def parts() -> Iterator[Prediction]:
        for place, top in enumerate((0, 30, 60)):
            read.append(place)
            bitmap = np.zeros((1, *SIZE), np.uint8)
            bitmap[0, top + 1 : top + 20, 3:9] = 1
            yield Prediction(
                boxes=np.array([[3, top + 1, 9, top + 20]], np.float32),
                scores=np.ones(1, np.float32),
                labels=np.zeros(1, np.int64),
                image_size=SIZE,
                categories=CATEGORIES,
                source="image.tif",
                given_masks=PackedRLE.from_rles(map(encode_rle, bitmap), SIZE),
            )

    labels = LabelStrips(parts, SIZE)
    read.clear()
    seen = [(len(read), np.unique(strip[strip > 0]).tolist()) for strip in labels.strips(30)]
    assert seen == [(1, [1]), (2, [2]), (3, [3])]


def test_boxes_are_painted_where_there_are_no_masks() -> None:
    found = Prediction(
        boxes=np.array([[2.4, 1, 4.6, 3], [-3, 88, 200, 95], [5, 5, 5, 9]], np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        labels=np.zeros(3, np.int64),
        image_size=SIZE,
        categories=CATEGORIES,
        source="image.tif",
    )
    (numbers,) = LabelStrips(lambda: iter([found]), SIZE).strips(90)
    expected = np.zeros(SIZE, np.uint32)
    expected[1:3, 2:5], expected[88:] = 1, 2
    assert np.array_equal(numbers, expected)
