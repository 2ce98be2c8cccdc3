"""What the numbers of a run suggest to somebody who watches it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean

LEAST = 12
"""Logged steps before anything is said."""
FALL = 0.95
"""A loss that has not fallen below this part of what it was does not learn."""


def advice(losses: Sequence[tuple[int, float]], scores: Sequence[tuple[int, float]], skipped: int = 0) -> list[str]:
    """A line for each thing to do; nothing where all is well.

    Args:
        losses: step and total loss, as logged.
        scores: step and validation score.
        skipped: logged steps whose loss was not finite.
    """
    lines = []
    if skipped:
        lines.append(f"{skipped} logged steps had no finite loss: try a lower optimizer.lr, or optimizer.clip_norm=1")
    if _is_flat(losses):
        lines.append(
            "the loss does not fall: look at the labels (maskrcnn check DATA --output DIR), try optimizer.lr three "
            "times lower and three times higher, and start from trained weights (--init)"
        )
    if len(scores) > 1 and max(score for _, score in scores[1:]) <= 0:
        lines.append(
            "nothing is found yet that counts: do anchors.sizes fit the objects after resizing? maskrcnn check says "
            "how large those are; a larger input.min_size keeps small ones"
        )
    if (best := _overfitted(scores)) is not None:
        lines.append(
            f"the score has fallen at each evaluation since step {best}: it learns its images by heart; its best "
            "is kept (best.safetensors); more images or augment.* help, longer training does not"
        )
    return lines


def _is_flat(losses: Sequence[tuple[int, float]]) -> bool:
    if len(losses) < LEAST:
        return False
    part = max(3, len(losses) // 4)
    values = [loss for _, loss in losses]
    return mean(values[-part:]) > FALL * mean(values[:part])


def _overfitted(scores: Sequence[tuple[int, float]]) -> int | None:
    """The step of the best score, where the last three are each worse than the one before."""
    if len(scores) < 4:
        return None
    last = [score for _, score in scores[-4:]]
    if not all(later < earlier for earlier, later in pairwise(last)):
        return None
    return max(scores, key=lambda entry: entry[1])[0]
