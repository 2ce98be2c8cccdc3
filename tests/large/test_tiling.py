"""Tiles over drawn images: every object once and whole, whatever the layout."""

from __future__ import annotations

import numpy as np
import pytest

from large.drawn import CATEGORIES, Drawn, find_colours, masks_of
from maskrcnn.config import InputConfig
from maskrcnn.errors import UserError
from maskrcnn.large.grid import Grid
from maskrcnn.large.pieces import Pieces, pieces_of
from maskrcnn.large.stitching import Stitcher
from maskrcnn.large.tiling import Tiling, objects_of
from maskrcnn.prediction import Prediction

TILING = Tiling(tile=256, overlap=64, background=0, fill=(0, 0, 0))


def layout(seed: int, largest: int = 64, size: tuple[int, int] | None = None, count: int = 60) -> np.ndarray:
    """Ellipses with sides up to `largest`, none over another, also at the edges of the image."""
    rng = np.random.default_rng(seed)
    height, width = size or rng.integers(200, 900, 2).tolist()
    numbers = np.zeros((height, width), np.int32)
    for number in range(1, count + 1):
        w, h = rng.integers(4, largest + 1, 2).tolist()
        x, y = int(rng.integers(-w // 2, width - w // 2)), int(rng.integers(-h // 2, height - h // 2))
        ys, xs = np.mgrid[max(y, 0) : min(y + h, height), max(x, 0) : min(x + w, width)]
        inside = ((xs + 0.5 - x - w / 2) / w) ** 2 + ((ys + 0.5 - y - h / 2) / h) ** 2 <= 0.25
        part = numbers[max(y, 0) : y + h, max(x, 0) : x + w]
        if inside.any() and not (part[inside] > 0).any():
            part[inside] = number
    return numbers


def found(numbers: np.ndarray, tiling: Tiling = TILING, jitter: float = 0.0) -> list[tuple[int, ...]]:
    objects = list(objects_of(Drawn(numbers), tiling, lambda pictures: find_colours(pictures, jitter)))
    runs = [rle.counts for part in objects if part.runs is not None for rle in part.runs.to_packed(numbers.shape)]
    return sorted(tuple(counts.tolist()) for counts in runs)


@pytest.mark.parametrize("seed", range(12))
def test_every_object_once_and_whole(seed: int) -> None:
    numbers = layout(seed)
    assert found(numbers, jitter=3) == masks_of(numbers)


@pytest.mark.slow
def test_two_hundred_layouts() -> None:
    for seed in range(200):
        numbers = layout(seed)
        assert found(numbers, jitter=3) == masks_of(numbers), seed


@pytest.mark.parametrize("seed", range(4))
def test_objects_larger_than_the_overlap_are_put_together(seed: int) -> None:
    """Up to three tiles long, beside small ones."""
    numbers = layout(100 + seed, size=(700, 900), count=25)
    ys, xs = np.mgrid[:700, :900]
    numbers[(np.hypot(xs - 450, ys - 350) < 300) & (np.hypot(xs - 450, ys - 350) > 240)] = 1000  # a ring over all tiles
    numbers[:, 20 + 200 * seed : 30 + 200 * seed] = 1001  # a bar from top to bottom, once left, once through the ring
    whole = set(masks_of(np.where(numbers < 1000, numbers, 0)))
    seen = found(numbers)
    assert tuple(masks_of(np.where(numbers == 1001, 1, 0))[0]) in seen
    assert whole <= set(seen), "the small ones are not touched"
    assert tuple(masks_of(np.where(numbers == 1000, 1, 0))[0]) in seen
    assert len(seen) == len(masks_of(numbers))


def test_the_order_of_tiles_changes_nothing() -> None:
    numbers = layout(5, largest=120, size=(800, 700), count=90)
    grid = Grid.over(numbers.shape, 256, 64)
    image, results = Drawn(np.pad(numbers, ((0, 256), (0, 256)))), []
    for seed in range(3):
        stitcher, objects = Stitcher(grid), []
        for row in range(len(grid.y_starts)):
            tiles = list(grid.row(row))
            np.random.default_rng(seed).shuffle(tiles)
            pieces = {
                tuple(tile): pieces_of(next(find_colours([image.read(grid.window(tuple(tile)))])), tuple(tile), grid)
                for tile in tiles
            }
            objects.append(stitcher.add_row(pieces))
        objects.append(stitcher.finish())
        results.append(Pieces.concatenate([part for part in objects if part is not None]))
    assert len(results[0]) > 30
    for other in results[1:]:
        assert np.array_equal(other.boxes, results[0].boxes)
        assert np.array_equal(other.scores, results[0].scores)
        assert np.array_equal(other.runs.tops, results[0].runs.tops)


def test_boxes_without_masks() -> None:
    numbers = layout(7, size=(600, 640))

    def boxes(pictures):
        for picture in find_colours(pictures, jitter=2):
            yield Prediction(
                **{k: getattr(picture, k) for k in ("boxes", "scores", "labels", "image_size", "categories", "source")}
            )

    objects = Pieces.concatenate(list(objects_of(Drawn(numbers), TILING, boxes)))
    assert objects.runs is None
    assert len(objects) == len(masks_of(numbers))


def test_classes_are_not_confused() -> None:
    """Two objects of different classes at the same place are both kept."""
    grid = Grid.over((256, 400), 256, 64)

    def seen(x: float, label: int, score: float) -> Prediction:
        box = np.array([[x, 10, x + 40, 60]], np.float32)
        labels, scores = np.array([label]), np.array([score], np.float32)
        return Prediction(
            boxes=box, scores=scores, labels=labels, image_size=(256, 256), categories=CATEGORIES, source=b""
        )

    step = int(grid.x_starts[1])
    middle = (step + 256) / 2 - 20
    for label, expected in ((0, 1), (1, 2)):
        stitcher = Stitcher(grid)
        first = pieces_of(seen(middle - 1, 0, 0.7), (0, 0), grid)
        second = pieces_of(seen(middle + 1 - step, label, 0.9), (0, 1), grid)
        assert stitcher.add_row({(0, 0): first, (0, 1): second}) is None
        objects = stitcher.finish()
        assert objects is not None
        assert len(objects) == expected
        assert objects.scores[0] == np.float32(0.9)


def test_blank_tiles_are_not_looked_at() -> None:
    numbers = np.zeros((600, 1500), np.int32)
    numbers[300:320, 1200:1220] = 7
    seen = []
    objects = list(objects_of(Drawn(numbers), TILING, lambda pictures: find_colours(_noted(pictures, seen))))
    assert sum(map(len, objects)) == 1
    assert 1 <= len(seen) <= 4
    assert list(objects_of(Drawn(np.zeros((600, 600), np.int32)), TILING, find_colours)) == []


def _noted(pictures, seen):
    for picture in pictures:
        seen.append(picture.shape)
        yield picture


@pytest.mark.parametrize("length", [1, 255, 256, 257, 300, 1000, 20_000])
def test_tiles_cover_the_image_and_agree_on_cells(length: int) -> None:
    grid = Grid.over((length, length), 512, 100)
    starts = grid.x_starts
    assert (starts % 64 == 0).all()
    assert starts[-1] + 512 >= length
    assert len(starts) == 1 or starts[-1] + 512 - length < 512 - 128, "no tile that is needless"
    assert grid.overlap >= 100
    cores = [grid.core((0, column)) for column in range(len(starts))]
    assert [core[2] for core in cores[:-1]] == [core[0] for core in cores[1:]]


def test_a_tile_is_what_the_network_sees_at_its_own_size() -> None:
    native = InputConfig(min_size=640, max_size=1600, shrink=False)
    coco = InputConfig(min_size=800, max_size=1333)
    assert Tiling.for_model(native, {"0.95": 87.0}).tile == 1024
    assert Tiling.for_model(native, {"0.95": 87.0}).overlap == 174
    assert Tiling.for_model(coco, {}).tile == 768
    assert Tiling.for_model(coco, {}).overlap == 128
    assert Tiling.for_model(coco, {"0.95": 50.0}, tile=1600).overlap == 200, "the image is seen at half its size"


@pytest.mark.parametrize("values", [{"tile": 64}, {"overlap": -1}, {"tile": 256, "overlap": 200}, {"background": 256}])
def test_numbers_that_make_no_sense(values: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected"):
        Tiling.for_model(InputConfig(), {}, **values)
