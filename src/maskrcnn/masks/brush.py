"""Label Studio's brush: masks as a stream of bits, to and from pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.structures.masks import ByteArray

COUNT_BITS = (3, 4, 8, 16)
"""The four lengths that a count may have."""


def encode_brush(bitmap: ByteArray) -> list[int]:
    """The stream of bits that `decode_brush` reads: runs of equal values, four for each pixel."""
    values = np.repeat(bitmap.reshape(-1) != 0, 4)
    ends = [*np.flatnonzero(np.diff(values)).tolist(), len(values) - 1]
    bits = [f"{len(values):032b}", f"{8 - 1:05b}", *(f"{width - 1:04b}" for width in COUNT_BITS)]
    start = 0
    for end in ends:
        bits += _runs(end + 1 - start, 255 * int(values[end]))
        start = end + 1
    stream = "".join(bits)
    return np.packbits(np.frombuffer(stream.encode(), np.uint8) - ord("0")).tolist()


def _runs(length: int, value: int) -> list[str]:
    """Records of one run; the longest that a count can say first."""
    records = []
    while length:
        place = next((place for place, width in enumerate(COUNT_BITS) if length <= 1 << width), len(COUNT_BITS) - 1)
        part = min(length, 1 << COUNT_BITS[place])
        records.append(f"1{place:02b}{part - 1:0{COUNT_BITS[place]}b}{value:08b}")
        length -= part
    return records


def decode_brush(stream: Any, expected: int) -> ByteArray:
    """Label Studio's run lengths: a stream of bits.

    32 bits: how many values; 5 bits: bits of a value, less one; four times 4 bits: lengths of counts, less one. Then
    records: is it a run, which of the four lengths has its count, the count less one, and one value or as many.

    Raises:
        UserError: not a list of bytes, or it does not hold `expected` values of at most 8 bits.
    """
    if not isinstance(stream, list) or not all(isinstance(b, int) and 0 <= b < 256 for b in stream):
        raise UserError("expected a brush as a list of bytes, got something else; export the labels again")
    bits = _Bits(np.unpackbits(np.array(stream, dtype=np.uint8)))
    count, width = bits.number(32), bits.number(5) + 1
    lengths = [bits.number(4) + 1 for _ in range(4)]
    if count != expected or width > 8:
        raise UserError(f"expected a brush of {expected} values of 8 bits, got {count} of {width}; check the size")
    values, done = np.zeros(count, np.uint8), 0
    while done < count:
        is_run = bits.number(1)
        end = min(done + bits.number(lengths[bits.number(2)]) + 1, count)
        values[done:end] = bits.number(width) if is_run else bits.numbers(end - done, width)
        done = end
    return values


class _Bits:
    """Numbers from a stream of bits, highest bit first."""

    def __init__(self, bits: ByteArray) -> None:
        self.bits, self.place = bits, 0

    def number(self, width: int) -> int:
        return int("".join(map(str, self._next(width).tolist())), 2)

    def numbers(self, count: int, width: int) -> ByteArray:
        powers = 1 << np.arange(width - 1, -1, -1)
        return np.asarray(self._next(count * width).reshape(count, width) @ powers, dtype=np.uint8)

    def _next(self, count: int) -> ByteArray:
        if self.place + count > len(self.bits):
            raise UserError("expected a brush, got one that is cut off; export the labels again")
        self.place += count
        return self.bits[self.place - count : self.place]
