"""COCO's compressed spelling of run lengths: a short string.

From the fourth count on, the difference to the count two before is written (neighbouring columns are alike). A number
is cut into 5-bit groups, lowest first; bit 5 says that another group follows, and the sign is the top bit of the last
group. Each group plus 48 is a printable character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from maskrcnn.errors import UserError
from maskrcnn.structures.masks import IntArray
from maskrcnn.ways import Ways

_ALPHABET = bytes(range(ord("0"), ord("o") + 1))
"""64 characters, in the order of the groups they stand for."""

MAX_GROUPS = 7
"""Characters per count: 5 bits each, and 35 bits hold any difference of two counts of the largest frame."""


def counts_to_string_reference(counts: IntArray) -> str:
    """The definition, group by group."""
    numbers, text = counts.tolist(), []
    for i, number in enumerate(numbers):
        value = number - numbers[i - 2] if i > 2 else number
        while not -16 <= value < 16:
            text.append(chr(48 + 32 + (value & 31)))
            value >>= 5
        text.append(chr(48 + (value & 31)))
    return "".join(text)


def counts_to_string_groups(counts: IntArray) -> str:
    """The same for all groups at once."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    magnitudes = values ^ (values >> 63)  # -16..15 -> 0..15: both signs need as many groups
    num_groups = 1 + np.searchsorted(1 << (5 * np.arange(1, 13) - 1), magnitudes, side="right")
    place = _place_in_part(num_groups)
    groups = np.repeat(values, num_groups) >> (5 * place) & 31
    follows = place + 1 < np.repeat(num_groups, num_groups)
    return (48 + groups + 32 * follows).astype(np.uint8).tobytes().decode("ascii")


def counts_from_string_reference(text: str) -> IntArray:
    """The definition, character by character."""
    counts: list[int] = []
    for value in _string_values(text):
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return np.array(counts, np.int64)


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
        if place > MAX_GROUPS:
            raise _bad_number(place)
        yield value - (1 << (5 * place)) if group & 16 else value
        value, place = 0, 0
    if place:
        raise _truncated()


def counts_from_string_downwards(text: str) -> IntArray:
    """The same for all numbers at once, each from its last and highest group down."""
    values = _differences(_string_groups(text))
    values[1::2] = values[1::2].cumsum()
    values[2::2] = values[2::2].cumsum()
    return values


def _differences(groups: npt.NDArray[np.int8]) -> IntArray:
    """The numbers as they are written."""
    last = np.flatnonzero(groups < 32)
    values = groups[last].astype(np.int64)
    values -= 2 * (values & 16)
    longer = np.flatnonzero(groups[last - 1] >= 32)  # at 0 this looks at the very last group, which ends a number
    place = last[longer]
    num_groups = 1
    while len(longer) and num_groups < MAX_GROUPS:
        num_groups, place = num_groups + 1, place - 1
        values[longer] = 32 * values[longer] + (groups[place] & 31)
        follows = groups[place - 1] >= 32
        longer, place = longer[follows], place[follows]
    if len(longer):
        raise _bad_number(int(np.diff(last, prepend=-1).max()))
    return values


def _string_groups(text: str) -> npt.NDArray[np.int8]:
    """The 6 bits of every character; the last has no other behind it."""
    characters = text.encode("utf-8", "surrogatepass")
    if characters.translate(None, _ALPHABET):
        raise _bad_character(next(c for c in text if not "0" <= c <= "o"))
    groups = np.frombuffer(characters, np.int8) - np.int8(48)
    if len(groups) and groups[-1] >= 32:
        raise _truncated()
    return groups


def _place_in_part(lengths: IntArray) -> IntArray:
    """0, 1, ..., n - 1 for every n of `lengths`, one after the other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)


def _bad_character(character: str) -> UserError:
    return UserError(f"mask run lengths: expected characters '0' to 'o', got {character!r}; export the mask again")


def _bad_number(num_groups: int) -> UserError:
    return UserError(
        f"mask run lengths: expected numbers of at most {MAX_GROUPS} characters, got one of {num_groups}; "
        "export the mask again"
    )


def _truncated() -> UserError:
    return UserError("mask run lengths: expected a complete string, got one that ends inside a number; export it again")


TO_STRING: Ways[Callable[[IntArray], str]] = Ways(reference=counts_to_string_reference, groups=counts_to_string_groups)
FROM_STRING: Ways[Callable[[str], IntArray]] = Ways(
    reference=counts_from_string_reference, downwards=counts_from_string_downwards
)


def counts_to_string(counts: IntArray) -> str:
    """The string of run lengths, byte for byte that of pycocotools."""
    return TO_STRING.choose("groups")(counts)


def counts_from_string(text: str) -> IntArray:
    """The numbers a string spells, whatever they are.

    Raises:
        UserError: a character outside the alphabet, a string that is cut off, or a number beyond any frame.
    """
    return FROM_STRING.choose("downwards")(text)


def counts_from_strings(texts: Sequence[str]) -> tuple[IntArray, IntArray]:
    """The numbers of many strings, one after the other, and how many each has; as `counts_from_string`, but faster."""
    groups, lengths = _string_groups("".join(texts)), np.array([len(text) for text in texts], np.int64)
    ends = np.cumsum(lengths)
    if (groups[ends[lengths > 0] - 1] >= 32).any():
        raise _truncated()
    values = _differences(groups)
    sizes = np.bincount(np.searchsorted(ends, np.flatnonzero(groups < 32), side="right"), minlength=len(texts))
    first = (np.cumsum(sizes) - sizes)[sizes > 0]
    beginnings = values[first]  # the first number of a string is part of no sum
    values[first] = 0
    # The sums run over every second number: those of a string in even places come first, then the others.
    place, odd_ones = _place_in_part(sizes), (np.cumsum(sizes) - sizes) + (sizes + 1) // 2
    is_odd = place % 2
    starts = np.where(is_odd == 1, np.repeat(odd_ones, sizes), np.repeat(np.cumsum(sizes) - sizes, sizes))
    positions = starts + place // 2
    in_turn = np.zeros(len(values) + 1, np.int64)
    in_turn[positions + 1] = values
    sums = np.cumsum(in_turn)
    counts: IntArray = sums[positions + 1] - sums[starts]
    counts[first] = beginnings
    return counts, sizes.astype(np.int64)
