"""Greedy non-maximum suppression: keep the best box, drop all that overlap it too much, repeat.

Equal scores keep their order (stable sort), and a box is dropped when its IoU is *above* the threshold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from maskrcnn.kernels.triton_use import can_use_triton
from maskrcnn.ops.boxes import box_iou
from maskrcnn.ways import Ways

_BLOCK = 512
_MANY_KEPT = 1024
"""With fewer, comparing all pairs takes no longer than taking the labels apart."""


def nms_reference(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int) -> Tensor:
    """The definition, box by box: suppression happens among equal labels only."""
    waiting = scores.argsort(descending=True, stable=True).tolist()
    kept: list[int] = []
    while waiting and len(kept) < limit:
        best, *rest = waiting
        kept.append(best)
        overlaps = box_iou(boxes[best : best + 1], boxes[rest])[0].double()
        suppressed = (overlaps > threshold) & (labels[rest] == labels[best])
        waiting = [index for index, drop in zip(rest, suppressed.tolist(), strict=True) if not drop]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)


def nms_blocks(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int) -> Tensor:
    """The same in blocks of sorted boxes: those kept of earlier blocks suppress a block, then its rest is decided.

    Cost is (kept + block) x boxes instead of one Python step per kept box, and no B x B matrix is held.
    """
    order = scores.argsort(descending=True, stable=True)
    threshold = largest_float32_up_to(threshold)
    boxes, labels = boxes[order], labels[order]
    kept = order.new_empty(0)
    for start in range(0, order.shape[0], _BLOCK):
        block = torch.arange(start, min(start + _BLOCK, order.shape[0]), device=boxes.device)
        block = block[~_suppressed(boxes, labels, kept, block, threshold)]
        kept = torch.cat([kept, block[_settle(_overlapping(boxes, labels, block, block, threshold))]])
        if kept.shape[0] >= limit:  # what follows is worse and cannot displace anything
            break
    return order[kept[:limit]]


def _suppressed(boxes: Tensor, labels: Tensor, kept: Tensor, block: Tensor, threshold: float) -> Tensor:
    """(B,) True for the boxes of a block that a kept one suppresses; many kept ones are taken apart by label."""
    if kept.shape[0] < _MANY_KEPT:
        return _overlapping(boxes, labels, kept, block, threshold).any(dim=0)
    suppressed = torch.zeros_like(block, dtype=torch.bool)
    of_kept, of_block = labels[kept], labels[block]
    for label in of_block.unique().tolist():
        mine = (of_block == label).nonzero()[:, 0]
        iou = box_iou(boxes[kept[of_kept == label]], boxes[block[mine]])
        suppressed[mine] = (iou > threshold).any(dim=0)
    return suppressed


def _overlapping(boxes: Tensor, labels: Tensor, a: Tensor, b: Tensor, threshold: float) -> Tensor:
    """(A, B) True where box a[i] would suppress box b[j], were it kept and better."""
    return (box_iou(boxes[a], boxes[b]) > threshold) & (labels[a, None] == labels[None, b])


def _settle(overlapping: Tensor) -> Tensor:
    """(B,) the greedy survivors among sorted boxes, as the fixpoint of "kept if no kept better box overlaps".

    Each round decides at least the next undecided box, so the greedy answer is reached exactly,
    after about as many rounds as the longest chain of suppressions.
    """
    better = overlapping.triu(diagonal=1).float()
    kept = better.new_ones(better.shape[0])
    while True:
        update = (kept @ better == 0).float()
        if torch.equal(update, kept):
            return kept > 0
        kept = update


def nms_triton(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int) -> Tensor:
    """The same by kernels on a GPU, where only the number of boxes kept has to be waited for."""
    kept, counts = nms_padded_triton(boxes[None], scores[None], labels[None], threshold, limit)
    return kept[0, : int(counts)]


def nms_padded_reference(
    boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int
) -> tuple[Tensor, Tensor]:
    """The definition of `nms_padded`, image by image."""
    kept = labels.new_zeros((boxes.shape[0], min(limit, boxes.shape[1])))
    counts = labels.new_zeros(boxes.shape[0])
    for i, label in enumerate(labels):
        present = (label >= 0).nonzero()[:, 0]
        best = present[batched_nms(boxes[i, present], scores[i, present], label[present], threshold, limit)]
        kept[i, : best.shape[0]], counts[i] = best, best.shape[0]
    return kept, counts


def nms_padded_triton(
    boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int
) -> tuple[Tensor, Tensor]:
    """The same by kernels on a GPU, all images at once."""
    from maskrcnn.ops.triton import nms as triton_nms

    return triton_nms.nms_padded(boxes, scores, labels, largest_float32_up_to(threshold), limit)


def largest_float32_up_to(value: float) -> float:
    """IoUs are float32: "above `value`" must mean the same as comparing them with the exact number."""
    nearest = np.float32(value)
    return float(nearest if nearest <= value else np.nextafter(nearest, np.float32(-np.inf)))


NO_LIMIT = 1 << 62
ABSENT = -1
"""The label of a place without a box."""

NMS: Ways[Callable[[Tensor, Tensor, Tensor, float, int], Tensor]] = Ways(
    reference=nms_reference, blocks=nms_blocks, triton=nms_triton
)
NMS_PADDED: Ways[Callable[[Tensor, Tensor, Tensor, float, int], tuple[Tensor, Tensor]]] = Ways(
    reference=nms_padded_reference, triton=nms_padded_triton
)


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int = NO_LIMIT) -> Tensor:
    """Indices (int64) of the boxes kept, best score first.

    Args:
        boxes: (B, 4) x1, y1, x2, y2.
        scores: (B,) higher is better.
        threshold: boxes with an IoU above this to a better kept box are dropped.
        limit: stop after this many.
    """
    return batched_nms(boxes, scores, scores.new_zeros(scores.shape[0], dtype=torch.int64), threshold, limit)


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int = NO_LIMIT) -> Tensor:
    """`nms` among boxes of the same label only (classes, or pyramid levels), which is 0 or more."""
    way = NMS.choose("triton" if _suits_triton(boxes) else "blocks")
    return way(boxes, scores, labels, threshold, limit)


def nms_padded(
    boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int = NO_LIMIT
) -> tuple[Tensor, Tensor]:
    """`batched_nms` of N images at once, with results of a fixed size: on a GPU, the host waits for nothing.

    Args:
        boxes: (N, B, 4) x1, y1, x2, y2.
        scores: (N, B) higher is better.
        labels: (N, B) int64; `ABSENT` marks a place without a box, whatever else stands there.
        threshold: as in `nms`.
        limit: L, at most this many are kept of each image.

    Returns:
        (N, min(L, B)) int64, the indices of the boxes kept, best score first, and (N,) int64, how many these are;
        the indices after them are valid ones and mean nothing.
    """
    way = NMS_PADDED.choose("triton" if _suits_triton(boxes) else "reference")
    return way(boxes, scores, labels, threshold, limit)


def _suits_triton(boxes: Tensor) -> bool:
    return boxes.dtype == torch.float32 and can_use_triton(boxes)
