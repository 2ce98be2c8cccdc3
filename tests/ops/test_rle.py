import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.errors import UserError
from maskrcnn.ops.rle import (
    CROP,
    DECODE,
    ENCODE,
    ENCODE_CROP,
    FROM_STRING,
    MAX_PIXELS,
    TO_STRING,
    WINDOW,
    crop_rle,
    encode_rle,
    encode_rle_crop,
    rle_area,
    rle_from_coco,
    rle_from_counts,
    rle_from_string,
    rle_to_coco,
    rle_to_string,
)
from maskrcnn.structures import RLE


def bitmaps():
    """All kinds of masks: empty, full, a single pixel, one row, one column, no pixels at all, random ones."""
    rng = np.random.default_rng(0)
    single = np.zeros((5, 4), np.uint8)
    single[3, 2] = 1
    sizes = [(1, 1), (1, 9), (9, 1), (0, 5), (5, 0), (7, 5), (40, 3), (300, 20)]
    yield from (np.zeros((4, 6), np.uint8), np.ones((4, 6), np.uint8), single)
    for size in sizes:
        for density in (0.0, 0.05, 0.5, 0.95, 1.0):
            yield (rng.random(size) < density).astype(np.uint8)


def windows_of(bitmap, count=6):
    rng = np.random.default_rng(bitmap.size)
    height, width = bitmap.shape
    yield 0, 0, width, height
    for _ in range(count):
        x1, x2 = sorted(rng.integers(0, width + 1, 2).tolist())
        y1, y2 = sorted(rng.integers(0, height + 1, 2).tolist())
        yield x1, y1, x2, y2


def coco_string(bitmap):
    return coco_mask.encode(np.asfortranarray(bitmap))["counts"].decode()


def rle(counts, size):
    return RLE(size, np.array(counts, np.int64))


@pytest.mark.parametrize("way", ENCODE)
def test_runs_go_down_the_columns_and_begin_with_zeros(way):
    bitmap = np.array([[0, 1, 1], [1, 1, 0]], np.uint8)
    assert ENCODE[way](bitmap).counts.tolist() == [1, 4, 1]
    assert ENCODE[way](np.array([[1, 0]], np.uint8)).counts.tolist() == [0, 1, 1]
    assert ENCODE[way](bitmap).size == (2, 3)


@pytest.mark.parametrize("way", ENCODE)
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int64])
def test_anything_but_zero_is_mask(way, dtype):
    bitmap = (np.arange(12).reshape(3, 4) % 3).astype(dtype)
    assert ENCODE[way](bitmap).counts.tolist() == ENCODE[way]((bitmap != 0).astype(np.uint8)).counts.tolist()


def test_every_way_encodes_decodes_and_spells_as_pycocotools():
    for bitmap in bitmaps():
        expected = coco_string(bitmap)
        for encode in ENCODE.values():
            runs = encode(bitmap)
            assert runs.counts.dtype == np.int64
            for to_string in TO_STRING.values():
                assert to_string(runs) == expected
            for decode in DECODE.values():
                assert decode(runs).dtype == np.uint8
                np.testing.assert_array_equal(decode(runs), bitmap)
            for from_string in FROM_STRING.values():
                assert from_string(expected, bitmap.shape).counts.tolist() == runs.counts.tolist()
            assert rle_area(runs) == bitmap.sum()


def test_every_way_crops_and_encodes_crops_as_the_full_frame_does():
    for bitmap in bitmaps():
        for window in windows_of(bitmap):
            x1, y1, x2, y2 = window
            piece = bitmap[y1:y2, x1:x2]
            alone = np.zeros_like(bitmap)
            alone[y1:y2, x1:x2] = piece
            for crop in CROP.values():
                np.testing.assert_array_equal(crop(encode_rle(bitmap), window), piece)
            for encode_crop in ENCODE_CROP.values():
                assert rle_to_string(encode_crop(piece, window, bitmap.shape)) == coco_string(alone)


def test_every_way_finds_the_tightest_window():
    for bitmap in bitmaps():
        runs = encode_rle(bitmap)
        x, y, width, height = coco_mask.toBbox(coco_mask.encode(np.asfortranarray(bitmap))).tolist()
        for window in WINDOW.values():
            assert window(runs) == (x, y, x + width, y + height)


@pytest.mark.parametrize("way", WINDOW)
def test_empty_runs_of_ones_do_not_widen_the_window(way):
    """Other tools write such runs: here ones only in row 2 of column 1."""
    assert WINDOW[way](rle([1, 0, 5, 1, 1, 0, 1], (3, 3))) == (2, 0, 3, 1)
    assert WINDOW[way](rle([4, 0, 5], (3, 3))) == (0, 0, 0, 0)


@pytest.mark.parametrize("way", ENCODE_CROP)
def test_a_run_over_the_frame_edge_is_one_run(way):
    """Full columns: the run goes on from the bottom of a column at the top of the next."""
    assert ENCODE_CROP[way](np.ones((4, 2), np.uint8), (1, 0, 3, 4), (4, 5)).counts.tolist() == [4, 8, 8]


@pytest.mark.parametrize("way", CROP)
def test_crop_with_runs_through_many_columns(way):
    np.testing.assert_array_equal(CROP[way](rle([5, 10, 5], (4, 5)), (1, 1, 4, 3)), [[1, 1, 1], [1, 1, 1]])


def test_many_objects_in_a_large_frame_need_no_frame():
    """Frames of a gigapixel: a thousand of them in memory at any one moment would be noticed."""
    size = (1 << 15, 1 << 15)
    crop = np.ones((3, 2), np.uint8)
    for i in range(1000):
        window = (i, 2 * i, i + 2, 2 * i + 3)
        runs = encode_rle_crop(crop, window, size)
        assert runs.counts[:4].tolist() == [i * size[0] + 2 * i, 3, size[0] - 3, 3]
        assert crop_rle(runs, window).all()


def test_crops_must_fit_their_window():
    for window in [(0, 0, 3, 2), (-1, 0, 1, 2), (4, 0, 6, 2), (0, 3, 2, 5), (2, 0, 0, 2)]:
        with pytest.raises(ValueError, match="window"):
            encode_rle_crop(np.ones((2, 2), np.uint8), window, (4, 5))
    with pytest.raises(ValueError, match="window"):
        crop_rle(rle([20], (4, 5)), (0, 0, 6, 4))


@pytest.mark.parametrize("way", TO_STRING)
def test_large_numbers_and_both_signs(way):
    """pycocotools reads the string back; counts beyond one, two and three groups, and large differences."""
    counts = [0, 15, 16, 511, 512, 20_000, 3, 1 << 20, 1, 40_000_000]
    total = sum(counts)
    text = TO_STRING[way](rle(counts, (total, 1)))
    assert coco_mask.area({"size": [total, 1], "counts": text}) == sum(counts[1::2])
    for from_string in FROM_STRING.values():
        assert from_string(text, (total, 1)).counts.tolist() == counts


@pytest.mark.parametrize("way", FROM_STRING)
@pytest.mark.parametrize(
    ("text", "size", "message"),
    [
        ("", (2, 3), "sum of 6"),
        ("5", (2, 3), "sum of 6"),
        ("7", (2, 3), "from 0 to 6"),
        ("O7", (2, 3), "from 0 to 6"),  # -1, 7
        ("6P", (2, 3), "ends inside a number"),
        ("p", (2, 3), "'p'"),
        ("6 ", (2, 3), "' '"),
        ("6\n", (2, 3), "'\\\\n'"),
        ("é6", (2, 3), "'é'"),
        ("P" * 7 + "0", (2, 3), "one of 8"),
        ("P" * 5000 + "0", (2, 3), "one of 5001"),
        ("P" * 6 + "?", (2, 3), "from 0 to"),  # 15 << 30
        ("6", (2, -3), "size"),
        ("6", (2,), "size"),
        ("6", (2.5, 3), "size"),
        ("6", (1 << 20, 1 << 20), "at most"),
        ("6", (10**30, 1), "size"),
    ],
)
def test_malformed_strings_are_user_errors(way, text, size, message):
    with pytest.raises(UserError, match=message) as error:
        FROM_STRING[way](text, size)
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


@pytest.mark.parametrize("way", FROM_STRING)
def test_random_strings_end_in_runs_or_a_user_error(way):
    rng = np.random.default_rng(1)
    for _ in range(300):
        text = bytes(rng.integers(40, 120, rng.integers(0, 12)).tolist()).decode()
        try:
            runs = FROM_STRING[way](text, (3, 4))
        except UserError:
            continue
        assert runs.counts.sum() == 12 and (runs.counts >= 0).all()


def test_uncompressed_counts():
    runs = rle_from_counts([1, 4, 1], [2, 3])
    assert (runs.size, runs.counts.tolist()) == ((2, 3), [1, 4, 1])
    assert rle_from_counts((6.0,), (2, 3)).counts.tolist() == [6]
    assert rle_from_counts([], (0, 3)).counts.tolist() == []


@pytest.mark.parametrize(
    "counts",
    [[7], [5], [-1, 7], [3, 10**30], [1.5, 4.5], [float("nan")], ["6"], [[6]], [[1], [2, 3]], [None], None, 6, {}],
)
def test_malformed_counts_are_user_errors(counts):
    with pytest.raises(UserError, match="mask run lengths: expected"):
        rle_from_counts(counts, (2, 3))


def test_the_caller_keeps_its_counts():
    counts = np.array([1, 4, 1])
    rle_from_counts(counts, (2, 3)).counts[0] = 9
    assert counts.tolist() == [1, 4, 1]


def test_coco_forms_are_read_and_written():
    bitmap = np.array([[0, 1, 1], [1, 1, 0]], np.uint8)
    compressed = rle_to_coco(encode_rle(bitmap))
    assert compressed == {"size": [2, 3], "counts": coco_string(bitmap)}
    assert json.loads(json.dumps(compressed)) == compressed
    for counts in (compressed["counts"], compressed["counts"].encode(), [1, 4, 1]):
        assert rle_from_coco({"size": [2, 3], "counts": counts}).counts.tolist() == [1, 4, 1]


@pytest.mark.parametrize(
    "segmentation",
    [{}, {"size": [2, 3]}, {"counts": "6"}, {"size": None, "counts": "6"}, {"size": [2, 3], "counts": b"\xff"}],
)
def test_malformed_coco_forms_are_user_errors(segmentation):
    with pytest.raises(UserError, match="mask run lengths: expected"):
        rle_from_coco(segmentation)


def test_the_largest_frame():
    assert rle_from_string(rle_to_string(rle([MAX_PIXELS], (MAX_PIXELS, 1))), (MAX_PIXELS, 1)).counts[0] == MAX_PIXELS
