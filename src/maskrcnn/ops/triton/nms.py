"""Non-maximum suppression on a GPU: all images and labels in one go, and nothing waits for the host.

The usual plan for a GPU: boxes are sorted by score; one kernel compares all pairs and keeps a bit of each, 64 to a
word; another goes through the boxes, best first, with the words of those it keeps. The pairs come in bands of rows, so
that the bits grow with the number of boxes and not with its square.

Imported by `ops.nms` when it is needed: Triton belongs to PyTorch's CUDA builds for Linux, and to no other.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

WORD = 64
"""Bits of a word, and so the boxes of a tile."""
BAND = 64 * WORD
"""Rows of pairs in memory at a time: with 8,000 boxes 4 MB of bits per image."""
WORDS_AT_ONCE = 32
"""Words that are marked at a time for the boxes of a tile."""


@triton.jit
def _corners(boxes: tl.tensor, index: tl.tensor, present: tl.tensor) -> tl.tensor:
    boxes += 4 * index
    x1 = tl.load(boxes, present, other=0.0)
    y1 = tl.load(boxes + 1, present, other=0.0)
    x2 = tl.load(boxes + 2, present, other=0.0)
    y2 = tl.load(boxes + 3, present, other=0.0)
    return x1, y1, x2, y2


@triton.jit
def _not_negative(side: tl.tensor) -> tl.tensor:
    """Like PyTorch's clamp(min=0), and unlike `tl.maximum`, this leaves NaN as it is."""
    return tl.where(side < 0, 0.0, side)


@triton.jit(do_not_specialize=["num_boxes", "words", "first", "limit"])
def _compare(
    boxes: tl.tensor,  # (N, B, 4) sorted, those that are none last
    labels: tl.tensor,  # (N, B)
    counts: tl.tensor,  # (N,)
    bits: tl.tensor,  # (N, BAND, words)
    num_boxes: int,
    words: int,
    first: int,
    limit: int,
    threshold: float,
    band: tl.constexpr,
    word_size: tl.constexpr,
) -> None:
    """For 64 rows from `first` on: which of 64 worse boxes would each suppress, were it kept?"""
    tile = first // word_size + tl.program_id(0)
    word = first // word_size + tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    if (word < tile) | (tl.load(counts + image) >= limit):  # the lower triangle; or all are found
        return
    boxes += image * num_boxes * 4
    labels += image * num_boxes
    if tl.load(labels + word * word_size) < 0:  # no box any more
        return
    lane = tl.arange(0, word_size)
    row, column = tile * word_size + lane, word * word_size + lane
    # The same steps as `box_iou`, each rounded as there: a box must not be kept here and dropped there.
    ax1, ay1, ax2, ay2 = _corners(boxes, row, row < num_boxes)
    bx1, by1, bx2, by2 = _corners(boxes, column, column < num_boxes)
    width = _not_negative(tl.minimum(ax2[:, None], bx2[None, :]) - tl.maximum(ax1[:, None], bx1[None, :]))
    height = _not_negative(tl.minimum(ay2[:, None], by2[None, :]) - tl.maximum(ay1[:, None], by1[None, :]))
    a_area = _not_negative(ax2 - ax1) * _not_negative(ay2 - ay1)
    b_area = _not_negative(bx2 - bx1) * _not_negative(by2 - by1)
    intersection = width * height
    iou = tl.div_rn(intersection, a_area[:, None] + b_area[None, :] - intersection)  # "/" would be approximate
    a_label = tl.load(labels + row, row < num_boxes, other=-1)
    b_label = tl.load(labels + column, column < num_boxes, other=-1)
    worse = (row[:, None] < column[None, :]) & (a_label[:, None] == b_label[None, :])
    suppressed = (worse & (iou > threshold)).to(tl.int64)
    bits += (image * band + row - first) * words + word
    tl.store(bits, tl.sum(suppressed << lane[None, :], axis=1), row < num_boxes)


@triton.jit
def _or(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return a | b


@triton.jit
def _settle(alive: tl.tensor, better: tl.tensor, lane: tl.tensor) -> tl.tensor:
    """The greedy survivors (a word) among the sorted boxes of a tile, as the fixpoint that `nms._settle` explains."""
    kept = alive
    before = ~alive
    while kept != before:
        before = kept
        words = tl.where(((kept >> lane) & 1) == 1, better, 0)
        kept = alive & ~tl.reduce(words, 0, _or)
    return kept


@triton.jit(do_not_specialize=["num_boxes", "words", "first", "limit"])
def _sweep(
    labels: tl.tensor,  # (N, B)
    bits: tl.tensor,  # (N, BAND, words)
    removed: tl.tensor,  # (N, words): what the boxes kept so far suppress
    kept: tl.tensor,  # (N, limit)
    counts: tl.tensor,  # (N,)
    num_boxes: int,
    words: int,
    first: int,
    limit: int,
    band: tl.constexpr,
    word_size: tl.constexpr,
    words_at_once: tl.constexpr,
) -> None:
    """Goes through the boxes of a band, 64 at a time, and writes the numbers of those that are kept."""
    image = tl.program_id(0).to(tl.int64)
    labels += image * num_boxes
    bits += image * band * words
    removed += image * words
    kept += image * limit
    lane = tl.arange(0, word_size)
    count = tl.load(counts + image)
    word = first // word_size
    last = tl.minimum(first + band, num_boxes)
    there = tl.load(labels + word * word_size) >= 0
    while (word * word_size < last) & (count < limit) & there:
        box = word * word_size + lane
        rows = bits + (box - first).to(tl.int64) * words
        better = tl.load(rows + word, box < num_boxes, other=0)
        is_box = tl.load(labels + box, box < num_boxes, other=-1) >= 0
        alive = tl.sum(is_box.to(tl.int64) << lane, axis=0) & ~tl.load(removed + word)
        is_kept = (_settle(alive, better, lane) >> lane) & 1
        place = count + tl.cumsum(is_kept, axis=0) - 1
        tl.store(kept + place, box, (is_kept == 1) & (place < limit))
        for start in range(word + 1, words, words_at_once):
            column = start + tl.arange(0, words_at_once)
            mask = (is_kept == 1)[:, None] & (column < words)[None, :]
            theirs = tl.reduce(tl.load(rows[:, None] + column[None, :], mask, other=0), 0, _or)
            gone = tl.load(removed + column, column < words, other=0)
            tl.store(removed + column, gone | theirs, column < words)
        tl.debug_barrier()  # what one thread has marked as removed, another reads in the next round
        count += tl.sum(is_kept, axis=0)
        word += 1
        there = tl.load(labels + word * word_size, word * word_size < num_boxes, other=-1) >= 0
    tl.store(counts + image, tl.minimum(count, limit))


def nms_padded(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int) -> tuple[Tensor, Tensor]:
    """`maskrcnn.ops.nms.nms_padded` of float32 boxes on a GPU; the threshold has to be a float32 number, too."""
    num_images, num_boxes = scores.shape
    limit = min(limit, num_boxes)
    scores = scores.masked_fill(labels < 0, -math.inf)  # places without a box come last
    order = scores.argsort(dim=1, descending=True, stable=True)
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    labels = labels.gather(1, order)
    words = triton.cdiv(num_boxes, WORD)
    bits = torch.empty((num_images, BAND, words), dtype=torch.int64, device=boxes.device)
    removed = torch.zeros((num_images, words), dtype=torch.int64, device=boxes.device)
    kept = torch.zeros((num_images, limit), dtype=torch.int64, device=boxes.device)
    counts = torch.zeros(num_images, dtype=torch.int64, device=boxes.device)
    with torch.cuda.device_of(boxes):
        for first in range(0, num_boxes, BAND):
            tiles = triton.cdiv(min(BAND, num_boxes - first), WORD)
            sizes = num_boxes, words, first, limit
            # A fused multiplication and addition rounds once where `box_iou` rounds twice.
            _compare[(tiles, words - first // WORD, num_images)](
                boxes, labels, counts, bits, *sizes, threshold, BAND, WORD, num_warps=8, enable_fp_fusion=False
            )
            _sweep[(num_images,)](labels, bits, removed, kept, counts, *sizes, BAND, WORD, WORDS_AT_ONCE)
    return order.gather(1, kept), counts
