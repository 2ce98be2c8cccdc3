"""Run lengths as COCO annotations hold them: a size, and the counts as a list or as a compressed string."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.json_values import whole_number
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle_string import MAX_GROUPS, counts_from_string, counts_from_strings, counts_to_string
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import IntArray
from maskrcnn.text import brief

MAX_PIXELS = 1 << 30
"""Largest frame (height x width): a made-up size must not become an allocation."""

LARGEST_LABELLED = (1 << 32) - 2
"""Pixels of the largest image that can have labels: what counts matches (hotcoco) has run lengths of 32 bits."""

LARGEST_FRAME = 1 << 34
"""Pixels; COCO's string can spell the run lengths of no larger one. For masks whose frame nobody decodes as a whole."""

EXPORT_AGAIN = "export the mask again"
PAIRS = "they look like (start, length) pairs"
"""As Kaggle writes them; COCO's counts are lengths alone, of zeros and ones in turn."""


def rle_from_coco(segmentation: Mapping[str, Any], max_pixels: int = MAX_PIXELS) -> RLE:
    """Run lengths from an annotation's `{"size": [height, width], "counts": a string or a list}`.

    Args:
        segmentation: as it stands in the file.
        max_pixels: of the frame.

    Raises:
        UserError: a key is missing or its value malformed.
    """
    missing = {"size", "counts"} - set(segmentation)
    if missing:
        raise UserError(
            f"mask run lengths: expected the keys size and counts, got no {' and no '.join(sorted(missing))}"
        )
    counts, size = segmentation["counts"], segmentation["size"]
    if not isinstance(counts, str | bytes):
        return rle_from_counts(counts, size, max_pixels)
    _require_bearable(len(counts) // MAX_GROUPS, size, max_pixels)
    text = counts.decode("latin-1") if isinstance(counts, bytes) else _without_quotes(counts)
    if _are_written_pairs(text):
        raise UserError(f"mask run lengths: expected COCO's string, got {brief(text)}; {PAIRS}")
    return _checked_rle(counts_from_string(text), size, max_pixels)


def packed_from_coco(segmentations: Sequence[Mapping[str, Any]], size: Size, max_pixels: int = MAX_PIXELS) -> PackedRLE:
    """The masks of many annotations of one image; errors as of `rle_from_coco`."""
    strings = [segmentation.get("counts") for segmentation in segmentations]
    if all(isinstance(text, str) for text in strings) and all(s.get("size") == list(size) for s in segmentations):
        with suppress(UserError):  # one by one it is found where the fault is
            counts, sizes = counts_from_strings([str(text) for text in strings])
            offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
            pixels = _checked_size(size, max_pixels)[0] * size[1]
            sound = len(strings) > 0 and sizes.min() > 0 and counts.min() >= 0 and counts.max() <= pixels
            if sound and (np.add.reduceat(counts, offsets[:-1]) == pixels).all():
                return PackedRLE(counts.astype(np.min_scalar_type(pixels)), offsets, size)
    return PackedRLE.from_rles((rle_from_coco(s, max_pixels) for s in segmentations), size)


def rle_to_coco(rle: RLE) -> dict[str, Any]:
    """The compressed form for a COCO file; `rle_from_coco` reads it back."""
    return {"size": list(rle.size), "counts": counts_to_string(rle.counts)}


def rle_from_counts(counts: Any, size: Any, max_pixels: int = MAX_PIXELS) -> RLE:
    """Run lengths from a list of counts (COCO's uncompressed form).

    Raises:
        UserError: the counts are not whole numbers from 0 up that sum to height x width.
    """
    if isinstance(counts, list | tuple):
        _require_bearable(len(counts), size, max_pixels)
    lengths = _integers(counts)
    if lengths is None:
        advice = PAIRS if _are_listed_pairs(counts) else EXPORT_AGAIN
        raise UserError(f"mask run lengths: expected a list of whole numbers, got {brief(counts)}; {advice}")
    return _checked_rle(lengths, size, max_pixels)


def _checked_rle(lengths: IntArray, size: Any, max_pixels: int) -> RLE:
    height, width = _checked_size(size, max_pixels)
    pixels = height * width
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > pixels:
        raise UserError(
            f"mask run lengths: expected whole numbers from 0 to {pixels}, got {brief(lengths[:20].tolist())}; "
            f"{EXPORT_AGAIN}"
        )
    if lengths.sum() != pixels:
        raise UserError(
            f"mask run lengths: expected a sum of {pixels} (height {height} x width {width}), "
            f"got {int(lengths.sum())}; {PAIRS if _are_pairs(lengths) else f'correct the size or {EXPORT_AGAIN}'}"
        )
    return RLE((height, width), lengths)


def _without_quotes(text: str) -> str:
    """What `str` made of Python's bytes, `b'...'` with backslashes twice, as bytes say it; COCO's have no quotes."""
    written = re.fullmatch(r"""b(['"])(.*)\1""", text, re.DOTALL)
    return written[2].replace("\\\\", "\\") if written else text


def _are_pairs(counts: IntArray) -> bool:
    """Whether these look like runs of ones, each as its start and length, the next behind the last."""
    if len(counts) < 4 or len(counts) % 2:  # of two numbers nobody can tell
        return False
    starts, lengths = counts[::2], counts[1::2]
    return bool((lengths > 0).all() and (starts[1:] > starts[:-1] + lengths[:-1]).all())


def _are_listed_pairs(counts: Any) -> bool:
    """The same as a list of lists of two."""
    pairs = counts if isinstance(counts, list | tuple) else []
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return False
    numbers = _integers([number for pair in pairs for number in pair])
    return numbers is not None and _are_pairs(numbers)


def _are_written_pairs(text: str) -> bool:
    """The same as text, with blanks between the numbers; COCO's strings have none."""
    numbers = text.split() if " " in text else []
    return all(number.isascii() and number.isdigit() for number in numbers) and _are_listed_pairs(
        [(int(start), int(length)) for start, length in zip(numbers[::2], numbers[1::2], strict=False)]
    )


def _require_bearable(num_runs: int, size: Any, max_pixels: int) -> None:
    """Refuse, before they are looked at, more runs than pixels can have: one for each, and empty ones between."""
    height, width = _checked_size(size, max_pixels)
    most = 2 * (height * width + 1)
    if num_runs > most:
        raise UserError(
            f"mask run lengths: expected at most {most} for {height} x {width} pixels, got {num_runs} or more; "
            f"{EXPORT_AGAIN}"
        )


def _checked_size(size: Any, max_pixels: int) -> Size:
    sides = [whole_number(side) for side in size] if isinstance(size, list | tuple) else []
    height, width = sides if len(sides) == 2 else (None, None)
    if height is None or width is None or height < 0 or width < 0:
        raise UserError(f"mask run lengths: expected size [height, width] in whole pixels, got {brief(size)}")
    if height * width > max_pixels:
        raise UserError(
            f"mask run lengths: expected a frame of at most {max_pixels} pixels, got {height} x {width}; "
            "correct the size"
        )
    return height, width


def _integers(values: Any) -> IntArray | None:
    """A new int64 array, or None where `values` is not a flat list of whole numbers."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        return None
    try:
        array = np.array(values) if len(values) else np.zeros(0, np.int64)
    except ValueError:  # lists of unlike lengths
        return None
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        return None
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    return whole if np.array_equal(whole, array) else None
