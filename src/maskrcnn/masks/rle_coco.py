"""Run lengths as COCO annotations hold them: a size, and the counts as a list or as a compressed string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.json_values import whole_number
from maskrcnn.masks.rle_string import MAX_GROUPS, counts_from_string, counts_to_string
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import IntArray
from maskrcnn.text import brief

MAX_PIXELS = 1 << 30
"""Largest frame (height x width): a made-up size must not become an allocation."""


def rle_from_coco(segmentation: Mapping[str, Any]) -> RLE:
    """Run lengths from an annotation's `{"size": [height, width], "counts": a string or a list}`.

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
        return rle_from_counts(counts, size)
    _require_bearable(len(counts) // MAX_GROUPS, size)
    return _checked_rle(counts_from_string(counts.decode("latin-1") if isinstance(counts, bytes) else counts), size)


def rle_to_coco(rle: RLE) -> dict[str, Any]:
    """The compressed form for a COCO file; `rle_from_coco` reads it back."""
    return {"size": list(rle.size), "counts": counts_to_string(rle.counts)}


def rle_from_counts(counts: Any, size: Any) -> RLE:
    """Run lengths from a list of counts (COCO's uncompressed form).

    Raises:
        UserError: the counts are not whole numbers from 0 up that sum to height x width.
    """
    if isinstance(counts, list | tuple):
        _require_bearable(len(counts), size)
    lengths = _integers(counts)
    if lengths is None:
        raise UserError(
            f"mask run lengths: expected a list of whole numbers, got {brief(counts)}; export the mask again"
        )
    return _checked_rle(lengths, size)


def _checked_rle(lengths: IntArray, size: Any) -> RLE:
    height, width = _checked_size(size)
    pixels = height * width
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > pixels:
        raise UserError(
            f"mask run lengths: expected whole numbers from 0 to {pixels}, got {brief(lengths[:20].tolist())}; "
            "export the mask again"
        )
    if lengths.sum() != pixels:
        raise UserError(
            f"mask run lengths: expected a sum of {pixels} (height {height} x width {width}), "
            f"got {int(lengths.sum())}; correct the size or export the mask again"
        )
    return RLE((height, width), lengths)


def _require_bearable(num_runs: int, size: Any) -> None:
    """Refuse, before they are looked at, more runs than pixels can have: one for each, and empty ones between."""
    height, width = _checked_size(size)
    most = 2 * (height * width + 1)
    if num_runs > most:
        raise UserError(
            f"mask run lengths: expected at most {most} for {height} x {width} pixels, got {num_runs} or more; "
            "export the mask again"
        )


def _checked_size(size: Any) -> Size:
    sides = [whole_number(side) for side in size] if isinstance(size, list | tuple) else []
    height, width = sides if len(sides) == 2 else (None, None)
    if height is None or width is None or height < 0 or width < 0:
        raise UserError(f"mask run lengths: expected size [height, width] in whole pixels, got {brief(size)}")
    if height * width > MAX_PIXELS:
        raise UserError(
            f"mask run lengths: expected a frame of at most {MAX_PIXELS} pixels, got {height} x {width}; "
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
