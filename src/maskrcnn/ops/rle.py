"""Run lengths: COCO's mask format, whole or in a window, and its two spellings (a list of counts, a short string).

Pixels are numbered down the columns: pixel (x, y) of an H x W frame has position x * H + y. Runs of zeros and ones
alternate, zeros first. A window is (x1, y1, x2, y2) in whole pixels, half open, inside the frame. Nothing here builds
a full frame except `encode_rle` (which is given one) and `decode_rle` (which returns one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import ByteArray, IntArray

Window = tuple[int, int, int, int]

MAX_PIXELS = 1 << 30
"""Largest frame (height x width): a made-up size must not become an allocation."""

_MAX_GROUPS = 7
"""Characters per count: 5 bits each, and 35 bits hold any difference of two counts below `MAX_PIXELS`."""


# --- bitmap -> runs ---------------------------------------------------------------------------------------------


def encode_rle_reference(bitmap: ByteArray) -> RLE:
    """The definition: walk down the columns and count equal pixels."""
    counts, current, length = [], 0, 0
    for pixel in bitmap.T.reshape(-1).tolist():
        if (pixel != 0) == current:
            length += 1
        else:
            counts.append(length)
            current, length = int(pixel != 0), 1
    return RLE(_size_of(bitmap), np.array([*counts, length], np.int64))


def encode_rle_whole(bitmap: ByteArray) -> RLE:
    """The same, as a crop whose window is the whole frame."""
    height, width = _size_of(bitmap)
    return encode_rle_crop_runs(bitmap, (0, 0, width, height), (height, width))


def encode_rle_crop_reference(crop: ByteArray, window: Window, size: Size) -> RLE:
    """The definition: put the crop into an empty frame and encode that."""
    frame = np.zeros(size, np.uint8)
    x1, y1, x2, y2 = window
    frame[y1:y2, x1:x2] = crop != 0
    return encode_rle_reference(frame)


def encode_rle_crop_runs(crop: ByteArray, window: Window, size: Size) -> RLE:
    """The same from the ends of the runs inside the crop's columns; costs what the crop costs."""
    x1, y1, _, _ = window
    height, width = size
    crop_height, crop_width = crop.shape
    # A zero below every column ends its runs, and one before the first column starts the first.
    columns = np.zeros(1 + crop_width * (crop_height + 1), np.bool_)
    columns[1:].reshape(crop_width, crop_height + 1)[:, :crop_height] = crop.T
    x, y = np.divmod(np.flatnonzero(columns[1:] != columns[:-1]), crop_height + 1)
    ends = (x1 + x) * height + y1 + y  # start, end, start, end, ... as positions in the frame
    return RLE(size, _counts_between(_join_touching(ends), height * width))


def _join_touching(ends: IntArray) -> IntArray:
    """Drop an end that is the next start: a run that goes on from the frame's bottom edge at the next column's top."""
    touching = np.flatnonzero(ends[1:] == ends[:-1])
    return np.delete(ends, np.concatenate([touching, touching + 1]))


def _counts_between(ends: IntArray, total: int) -> IntArray:
    """Run lengths from the positions where the value changes; no empty run at the end."""
    counts = np.diff(ends, prepend=0, append=total)
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


# --- runs -> bitmap ---------------------------------------------------------------------------------------------


def decode_rle_reference(rle: RLE) -> ByteArray:
    """The definition: write one run after the other."""
    height, width = rle.size
    pixels = np.zeros(height * width, np.uint8)
    position = 0
    for index, count in enumerate(rle.counts.tolist()):
        pixels[position : position + count] = index % 2
        position += count
    return pixels.reshape(width, height).T


def decode_rle_repeat(rle: RLE) -> ByteArray:
    """The same with one `repeat`."""
    return _paint(rle.counts, rle.size)


def crop_rle_reference(rle: RLE, window: Window) -> ByteArray:
    """The definition: decode the frame and cut."""
    x1, y1, x2, y2 = window
    return decode_rle_reference(rle)[y1:y2, x1:x2]


def crop_rle_runs(rle: RLE, window: Window) -> ByteArray:
    """The same from the run ends: each is moved to the number of window pixels that come before it."""
    x1, y1, x2, y2 = window
    crop_height, crop_width = y2 - y1, x2 - x1
    x, y = np.divmod(np.cumsum(rle.counts), max(rle.size[0], 1))
    before = (x - x1) * crop_height + np.clip(y - y1, 0, crop_height)
    ends = np.clip(before, 0, crop_width * crop_height)
    return _paint(np.diff(ends, prepend=0), (crop_height, crop_width))


def _paint(counts: IntArray, size: Size) -> ByteArray:
    height, width = size
    values = (np.arange(len(counts)) % 2).astype(np.uint8)
    return np.repeat(values, counts).reshape(width, height).T


# --- measures ---------------------------------------------------------------------------------------------------


def rle_area(rle: RLE) -> int:
    """Number of pixels in the mask."""
    return int(rle.counts[1::2].sum())


def rle_window_reference(rle: RLE) -> Window:
    """The definition: first and last row and column that hold a one."""
    ys, xs = np.nonzero(decode_rle_reference(rle))
    if len(xs) == 0:
        return 0, 0, 0, 0
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def rle_window_runs(rle: RLE) -> Window:
    """The same from the run ends."""
    height = rle.size[0]
    ends = np.cumsum(rle.counts)[: len(rle.counts) // 2 * 2]
    starts, stops = ends[0::2], ends[1::2]
    starts, stops = starts[starts < stops], stops[starts < stops]
    if len(starts) == 0:
        return 0, 0, 0, 0
    first_x, first_y = np.divmod(starts, height)
    last_x, last_y = np.divmod(stops - 1, height)
    x1, x2 = int(first_x[0]), int(last_x[-1]) + 1
    if (first_x != last_x).any():  # such a run passes the bottom and the top of the frame
        return x1, 0, x2, height
    return x1, int(first_y.min()), x2, int(last_y.max()) + 1


# --- runs <-> string --------------------------------------------------------------------------------------------
# From the fourth count on, the difference to the count two before is written (neighbouring columns are alike). A
# number is cut into 5-bit groups, lowest first; bit 5 says that another group follows, and the sign is the top bit of
# the last group. Each group plus 48 is a printable character.


def rle_to_string_reference(rle: RLE) -> str:
    """The definition, group by group."""
    counts = rle.counts.tolist()
    text = []
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while not -16 <= value < 16:
            text.append(chr(48 + 32 + (value & 31)))
            value >>= 5
        text.append(chr(48 + (value & 31)))
    return "".join(text)


def rle_to_string_groups(rle: RLE) -> str:
    """The same for all groups at once."""
    values = rle.counts.copy()
    values[3:] -= rle.counts[1:-2]
    magnitudes = values ^ (values >> 63)  # -16..15 -> 0..15: both signs need as many groups
    num_groups = 1 + np.searchsorted(1 << (5 * np.arange(1, 13) - 1), magnitudes, side="right")
    place = _place_in_part(num_groups)
    groups = np.repeat(values, num_groups) >> (5 * place) & 31
    follows = place + 1 < np.repeat(num_groups, num_groups)
    return (48 + groups + 32 * follows).astype(np.uint8).tobytes().decode("ascii")


def rle_from_string_reference(text: str, size: Size) -> RLE:
    """The definition, character by character."""
    counts: list[int] = []
    for value in _string_values(text):
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return rle_from_counts(counts, size)


def _string_values(text: str) -> Iterator[int]:
    value, place = 0, 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise _bad_character(character)
        value |= (group & 31) << (5 * place)
        place += 1
        if group & 32:
            continue
        if place > _MAX_GROUPS:
            raise _bad_number(place)
        yield value - (1 << (5 * place)) if group & 16 else value
        value, place = 0, 0
    if place:
        raise _truncated()


def rle_from_string_groups(text: str, size: Size) -> RLE:
    """The same for all characters at once."""
    groups = _string_groups(text)
    last = np.flatnonzero(groups < 32)
    num_groups = np.diff(last, prepend=-1)
    if num_groups.max(initial=0) > _MAX_GROUPS:
        raise _bad_number(int(num_groups.max()))
    if len(groups) and groups[-1] >= 32:
        raise _truncated()
    place = _place_in_part(num_groups)
    bits = (groups & 31) << (5 * place)
    counts = np.add.reduceat(bits, last - num_groups + 1) if len(last) else bits
    counts -= (groups[last] >> 4 & 1) << (5 * num_groups)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return rle_from_counts(counts, size)


def _string_groups(text: str) -> IntArray:
    try:
        groups = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        raise _bad_character(next(c for c in text if not c.isascii())) from None
    wrong = np.flatnonzero((groups < 0) | (groups >= 64))
    if len(wrong):
        raise _bad_character(text[wrong[0]])
    return groups


def _place_in_part(lengths: IntArray) -> IntArray:
    """0, 1, ..., n - 1 for every n of `lengths`, one after the other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)


def _bad_character(character: str) -> UserError:
    return UserError(f"mask run lengths: expected characters '0' to 'o', got {character!r}; export the mask again")


def _bad_number(num_groups: int) -> UserError:
    return UserError(
        f"mask run lengths: expected numbers of at most {_MAX_GROUPS} characters, got one of {num_groups}; "
        "export the mask again"
    )


def _truncated() -> UserError:
    return UserError("mask run lengths: expected a complete string, got one that ends inside a number; export it again")


# --- COCO's annotation forms ------------------------------------------------------------------------------------


def rle_from_counts(counts: Any, size: Size) -> RLE:
    """Run lengths from a list of counts (COCO's uncompressed form).

    Raises:
        UserError: the counts are not whole numbers from 0 up that sum to height x width.
    """
    height, width = _checked_size(size)
    lengths = _integers(counts)
    if lengths is None or (lengths < 0).any() or (lengths > height * width).any():
        raise UserError(
            f"mask run lengths: expected a list of whole numbers from 0 to {height * width}, got {_brief(counts)}; "
            "export the mask again"
        )
    if int(lengths.sum()) != height * width:
        raise UserError(
            f"mask run lengths: expected a sum of {height * width} (height {height} x width {width}), "
            f"got {int(lengths.sum())}; correct the size or export the mask again"
        )
    return RLE((height, width), lengths)


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
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    return rle_from_string(counts, size) if isinstance(counts, str) else rle_from_counts(counts, size)


def rle_to_coco(rle: RLE) -> dict[str, Any]:
    """The compressed form for a COCO file; `rle_from_coco` reads it back."""
    return {"size": list(rle.size), "counts": rle_to_string(rle)}


def _checked_size(size: Any) -> Size:
    sides = _integers(size)
    if sides is None or len(sides) != 2 or (sides < 0).any():
        raise UserError(f"mask run lengths: expected size [height, width] in whole pixels, got {_brief(size)}")
    height, width = (int(side) for side in sides)
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


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _size_of(bitmap: ByteArray) -> Size:
    return int(bitmap.shape[0]), int(bitmap.shape[1])


# --- implementations and public names ---------------------------------------------------------------------------

ENCODE: dict[str, Callable[[ByteArray], RLE]] = {
    "reference": encode_rle_reference,
    "whole": encode_rle_whole,
}
ENCODE_CROP: dict[str, Callable[[ByteArray, Window, Size], RLE]] = {
    "reference": encode_rle_crop_reference,
    "runs": encode_rle_crop_runs,
}
DECODE: dict[str, Callable[[RLE], ByteArray]] = {
    "reference": decode_rle_reference,
    "repeat": decode_rle_repeat,
}
CROP: dict[str, Callable[[RLE, Window], ByteArray]] = {
    "reference": crop_rle_reference,
    "runs": crop_rle_runs,
}
WINDOW: dict[str, Callable[[RLE], Window]] = {
    "reference": rle_window_reference,
    "runs": rle_window_runs,
}
TO_STRING: dict[str, Callable[[RLE], str]] = {
    "reference": rle_to_string_reference,
    "groups": rle_to_string_groups,
}
FROM_STRING: dict[str, Callable[[str, Size], RLE]] = {
    "reference": rle_from_string_reference,
    "groups": rle_from_string_groups,
}


def encode_rle(bitmap: ByteArray) -> RLE:
    """Run lengths of a bitmap (H, W); anything but 0 belongs to the mask."""
    return encode_rle_whole(bitmap)


def encode_rle_crop(crop: ByteArray, window: Window, size: Size) -> RLE:
    """Run lengths, in a frame of `size`, of a mask known only inside its window.

    Args:
        crop: (h, w); anything but 0 belongs to the mask.
        window: where the crop lies, x1, y1, x2, y2 in whole pixels, inside the frame.
        size: (height, width) of the frame.
    """
    x1, y1, x2, y2 = window
    if crop.shape != (y2 - y1, x2 - x1) or not _is_inside(window, size):
        raise ValueError(f"a crop of {crop.shape} does not fit window {window} of a {size} frame")
    return encode_rle_crop_runs(crop, window, size)


def decode_rle(rle: RLE) -> ByteArray:
    """The bitmap (H, W) uint8 of 0 and 1, in column order in memory."""
    return decode_rle_repeat(rle)


def crop_rle(rle: RLE, window: Window) -> ByteArray:
    """The bitmap (h, w) uint8 inside a window, without the frame around it."""
    if not _is_inside(window, rle.size):
        raise ValueError(f"window {window} is not inside a {rle.size} frame")
    return crop_rle_runs(rle, window)


def rle_window(rle: RLE) -> Window:
    """The tightest window around the mask, whole pixels x1, y1, x2, y2; zeros for an empty mask."""
    return rle_window_runs(rle)


def rle_to_string(rle: RLE) -> str:
    """COCO's compressed form, byte for byte that of pycocotools."""
    return rle_to_string_groups(rle)


def rle_from_string(text: str, size: Size) -> RLE:
    """Read COCO's compressed form.

    Raises:
        UserError: a character outside the alphabet, a string that is cut off, or counts that do not fill `size`.
    """
    return rle_from_string_groups(text, size)


def _is_inside(window: Window, size: Size) -> bool:
    x1, y1, x2, y2 = window
    return 0 <= x1 <= x2 <= size[1] and 0 <= y1 <= y2 <= size[0]
