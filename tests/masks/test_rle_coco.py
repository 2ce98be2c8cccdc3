from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.masks import rle_coco
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.rle_coco import MAX_PIXELS, packed_from_coco, rle_from_coco, rle_from_counts, rle_to_coco
from maskrcnn.structures import RLE


def test_uncompressed_counts() -> None:
    runs = rle_from_counts([1, 4, 1], [2, 3])
    assert (runs.size, runs.counts.tolist()) == ((2, 3), [1, 4, 1])
    assert rle_from_counts((6.0,), (2, 3)).counts.tolist() == [6]
    assert rle_from_counts([], (0, 3)).counts.tolist() == []


@pytest.mark.parametrize(
    "counts",
    [[7], [5], [-1, 7], [3, 10**30], [1.5, 4.5], [float("nan")], ["6"], [[6]], [[1], [2, 3]], [None], None, 6, {}],
)
def test_malformed_counts_are_user_errors(counts: Any) -> None:
    with pytest.raises(UserError, match="mask run lengths: expected"):
        rle_from_counts(counts, (2, 3))


def test_bytes_that_were_written_as_text(coco_string: Callable[[np.ndarray], str]) -> None:
    """`str(encode(mask)["counts"])`, with either kind of quotes; a backslash is a letter of COCO's, and is doubled."""
    drawn = np.random.default_rng(5).random((40, 50)) < np.linspace(0, 1, 50) ** 3
    mask = encode_rle(drawn.astype(np.uint8))
    text = rle_to_coco(mask)["counts"].encode()
    backslash = next(
        n for n in range(1, 2000) if b"\\" in rle_to_coco(RLE((1, n + 1), np.array([n, 1])))["counts"].encode()
    )
    other = RLE((1, backslash + 1), np.array([backslash, 1]))
    for rle, counts in ((mask, text), (other, rle_to_coco(other)["counts"].encode())):
        for written in (str(counts), f'b"{str(counts)[2:-1]}"'):
            assert rle_from_coco({"size": list(rle.size), "counts": written}).counts.tolist() == rle.counts.tolist()
            packed = packed_from_coco([{"size": list(rle.size), "counts": written}], rle.size)
            assert packed.counts.tolist() == rle.counts.tolist()


def test_the_caller_keeps_its_counts() -> None:
    counts = np.array([1, 4, 1])
    rle_from_counts(counts, (2, 3)).counts[0] = 9
    assert counts.tolist() == [1, 4, 1]


def test_coco_forms_are_read_and_written(coco_string: Callable[[np.ndarray], str]) -> None:
    bitmap = np.array([[0, 1, 1], [1, 1, 0]], np.uint8)
    compressed = rle_to_coco(encode_rle(bitmap))
    assert compressed == {"size": [2, 3], "counts": coco_string(bitmap)}
    assert json.loads(json.dumps(compressed)) == compressed
    for counts in (compressed["counts"], compressed["counts"].encode(), [1, 4, 1]):
        assert rle_from_coco({"size": [2, 3], "counts": counts}).counts.tolist() == [1, 4, 1]


@pytest.mark.parametrize(
    ("text", "size", "message"),
    [
        ("", (2, 3), "sum of 6"),
        ("5", (2, 3), "sum of 6"),
        ("7", (2, 3), "from 0 to 6"),
        ("O7", (2, 3), "from 0 to 6"),  # -1, 7
        ("P" * 6 + "?", (2, 3), "from 0 to"),  # 15 << 30
        ("p", (2, 3), "'p'"),
        ("6", (2, -3), "size"),
        ("6", (2,), "size"),
        ("6", (2.5, 3), "size"),
        ("6", (1 << 20, 1 << 20), "at most"),
        ("6", (10**30, 1), "size"),
    ],
)
def test_strings_that_do_not_fill_the_frame_are_user_errors(text: str, size: tuple[float, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        rle_from_coco({"size": size, "counts": text})
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


PAIRS = [3, 2, 9, 2, 15, 2]
"""Of ones in a frame of 6 x 5: start and length."""


@pytest.mark.parametrize(
    "counts", [PAIRS, [[3, 2], [9, 2], [15, 2]], [(3, 2), (9, 2)], "3 2 9 2 15 2", b"3 2 9 2"], ids=repr
)
def test_pairs_of_start_and_length_are_named(counts: object) -> None:
    with pytest.raises(UserError, match=r"they look like \(start, length\) pairs"):
        rle_from_coco({"size": (6, 5), "counts": counts})


@pytest.mark.parametrize(
    "counts",
    [
        [3, 2, 9, 2, 15],
        [15, 2, 9, 2],
        [3, 0, 9, 2],
        [3, 6, 9, 2],
        [3, 2],
        [[3, 2, 1], [9, 2, 1]],
        [[3, 2], 9],
        "3 2",
        "x y",
    ],
    ids=repr,
)
def test_what_is_no_list_of_pairs_is_not_called_one(counts: object) -> None:
    """An odd number, starts that fall, empty runs, runs that touch the next, one pair (as text too), other lists."""
    with pytest.raises(UserError, match="mask run lengths: expected") as caught:
        rle_from_coco({"size": (6, 5), "counts": counts})
    assert "pairs" not in str(caught.value)


def test_random_strings_end_in_runs_or_a_user_error() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        text = bytes(rng.integers(40, 120, rng.integers(0, 12)).tolist()).decode()
        try:
            runs = rle_from_coco({"size": [3, 4], "counts": text})
        except UserError:
            continue
        assert runs.counts.sum() == 12 and (runs.counts >= 0).all()


@pytest.mark.parametrize(
    "segmentation",
    [{}, {"size": [2, 3]}, {"counts": "6"}, {"size": None, "counts": "6"}, {"size": [2, 3], "counts": b"\xff"}],
)
def test_malformed_coco_forms_are_user_errors(segmentation: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="mask run lengths: expected"):
        rle_from_coco(segmentation)


def test_the_largest_frame() -> None:
    largest = RLE((MAX_PIXELS, 1), np.array([MAX_PIXELS]))
    assert rle_from_coco(rle_to_coco(largest)).counts.tolist() == [MAX_PIXELS]


@pytest.mark.parametrize("counts", [[0] * 1000 + [80], "0" * 10_000])
def test_more_runs_than_pixels_are_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch, counts: list[int] | str
) -> None:
    def read(_: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(rle_coco, "counts_from_string", read)
    monkeypatch.setattr(rle_coco, "_integers", read)
    with pytest.raises(UserError, match="expected at most 162 for 8 x 10 pixels, got 1"):
        rle_from_coco({"size": [8, 10], "counts": counts})


def test_empty_runs_between_the_pixels_are_understood() -> None:
    rle = rle_from_coco({"size": [2, 2], "counts": [0, 1, 0, 1, 0, 1, 0, 1, 0]})
    assert rle.counts.sum() == 4 and rle.counts[1::2].sum() == 4


@pytest.mark.parametrize("seed", range(5))
def test_many_masks_at_once_are_the_same(seed: int) -> None:
    """Noise of every density, an empty and a full mask; and an error is that of the mask which has it."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 40)), int(rng.integers(1, 40))
    bitmaps = [rng.random(size) < density for density in rng.random(30)] + [np.zeros(size), np.ones(size)]
    rles = [encode_rle(bitmap.astype(np.uint8)) for bitmap in bitmaps]
    texts = [rle_to_coco(rle) for rle in rles]
    packed = packed_from_coco(texts, size)
    expected = PackedRLE.from_rles(rles, size)
    assert packed.counts.dtype == expected.counts.dtype
    assert np.array_equal(packed.counts, expected.counts) and np.array_equal(packed.offsets, expected.offsets)
    assert len(packed_from_coco([], size)) == 0
    for broken in ("", "~", "1a", texts[0]["counts"] + "P", texts[0]["counts"] + "1"):
        with pytest.raises(UserError) as one:
            rle_from_coco({"size": list(size), "counts": broken})
        with pytest.raises(UserError) as many:
            packed_from_coco([*texts[:3], {"size": list(size), "counts": broken}, *texts[3:]], size)
        assert str(one.value) == str(many.value)
