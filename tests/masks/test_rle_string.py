from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.errors import UserError
from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.rle_string import FROM_STRING, TO_STRING


def test_every_way_spells_and_reads_as_pycocotools(
    bitmaps: list[np.ndarray], coco_string: Callable[[np.ndarray], str]
) -> None:
    for bitmap in bitmaps:
        counts, expected = encode_rle(bitmap).counts, coco_string(bitmap)
        for to_string in TO_STRING.values():
            assert to_string(counts) == expected
        for from_string in FROM_STRING.values():
            assert from_string(expected).dtype == np.int64 and from_string(expected).tolist() == counts.tolist()


@pytest.mark.parametrize("way", TO_STRING)
def test_large_numbers_and_both_signs(way: str) -> None:
    """pycocotools reads the string back; counts beyond one, two and three groups, and large differences."""
    counts = [0, 15, 16, 511, 512, 20_000, 3, 1 << 20, 1, 40_000_000]
    total = sum(counts)
    text = TO_STRING[way](np.array(counts))
    assert coco_mask.area({"size": [total, 1], "counts": text}) == sum(counts[1::2])
    for from_string in FROM_STRING.values():
        assert from_string(text).tolist() == counts


@pytest.mark.parametrize("way", FROM_STRING)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6P", "ends inside a number"),
        ("p", "'p'"),
        ("6 ", "' '"),
        ("6\n", r"'\\n'"),
        ("é6", "'é'"),
        ("6\ud800", "ud800"),
        ("P" * 7 + "0", "one of 8"),
        ("P" * 5000 + "0", "one of 5001"),
    ],
)
def test_malformed_strings_are_user_errors(way: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        FROM_STRING[way](text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


def test_random_strings_are_numbers_or_a_user_error_in_every_way() -> None:
    rng = np.random.default_rng(1)
    outcomes = set()
    for _ in range(300):
        text = bytes(rng.integers(40, 120, rng.integers(0, 12)).tolist()).decode()
        read = {outcome(from_string, text) for from_string in FROM_STRING.values()}
        assert len(read) == 1
        outcomes |= read
    assert len(outcomes) > 30


def outcome(from_string: Callable[[str], Iterable[int]], text: str) -> type | tuple[int, ...]:
    try:
        return tuple(from_string(text).tolist())
    except UserError as error:
        return type(error)
