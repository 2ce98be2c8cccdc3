"""Do both sides find the same? Asked before anything is timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

MASKS_COMPARED = 20
"""Of each image, the best; whole frames of all of them would take gigabytes."""

BOX_TOLERANCE, SCORE_TOLERANCE = 0.1, 1e-3
"""Pixels per 1000 of the image's longer side; and probability."""
MIN_MATCHED, MIN_MASK_IOU, LOSS_TOLERANCE = 0.95, 0.98, 0.3
"""With random weights many scores lie closer than rounding, and a few objects change places at the limit of their
number. Losses are of samples that each side draws for itself."""

Answer = Mapping[str, Any]
"""`{"images": [{"boxes", "scores", "labels", "masks"}, ...]}` of a prediction, `{"losses": {"total"}}` of a step."""


@dataclass(frozen=True)
class Agreement:
    """How alike two answers are.

    Attributes:
        suffices: whether times may be compared.
        summary: the figures, in words.
    """

    suffices: bool
    summary: str


def compare(ours: Answer, theirs: Answer) -> Agreement:
    """The answers of both sides to the same input."""
    if "losses" in ours:
        return _compare_losses(ours["losses"]["total"], theirs["losses"]["total"])
    return _compare_objects(list(zip(ours["images"], theirs["images"], strict=True)))


def _compare_losses(ours: float, theirs: float) -> Agreement:
    alike = abs(ours - theirs) <= LOSS_TOLERANCE * abs(theirs)
    return Agreement(alike, f"loss {ours:.3f} against {theirs:.3f}, each of its own random samples")


def _compare_objects(pairs: Sequence[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]) -> Agreement:
    count, matched, overlaps, errors = 0, 0, [], [0.0]
    for ours, theirs in pairs:
        matches = _match(ours, theirs)
        count += max(len(ours["scores"]), len(theirs["scores"]))
        matched += len(matches)
        overlaps += _mask_overlaps(ours, theirs, matches)
        errors += [float((ours["boxes"][i] - theirs["boxes"][j]).abs().max()) for i, j in matches]
    share = matched / count if count else 1.0
    overlap = sum(overlaps) / len(overlaps) if overlaps else 1.0
    return Agreement(
        share >= MIN_MATCHED and overlap >= MIN_MASK_IOU,
        f"{matched} of {count} objects alike, their boxes within {max(errors):.4f} px, mean mask IoU {overlap:.4f}",
    )


def pack_masks(masks: Tensor) -> Tensor:
    """(D, H, W) bool masks as (D, ceil(H W / 8)) bytes."""
    return torch.from_numpy(np.packbits(masks.flatten(1).numpy(), axis=1))


def _match(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[tuple[int, int]]:
    """Pairs of objects with the same class, and with box and score within the tolerances; each object at most once."""
    if not len(ours["scores"]) or not len(theirs["scores"]):
        return []
    distance = (ours["boxes"][:, None] - theirs["boxes"][None]).abs().amax(dim=2)
    tolerance = BOX_TOLERANCE * max(1.0, float(theirs["boxes"].max()) / 1000)
    alike = (
        (distance <= tolerance)
        & (ours["labels"][:, None] == theirs["labels"][None])
        & ((ours["scores"][:, None] - theirs["scores"][None]).abs() <= SCORE_TOLERANCE)
    )
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for j in range(alike.shape[1]):
        candidates = [i for i in alike[:, j].nonzero()[:, 0].tolist() if i not in taken]
        if candidates:
            best = min(candidates, key=lambda i: float(distance[i, j]))
            taken.add(best)
            pairs.append((best, j))
    return pairs


def _mask_overlaps(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], pairs: Sequence[tuple[int, int]]
) -> list[float]:
    """IoU of the matched masks among those that were kept; 1 where both are empty."""
    overlaps = []
    for i, j in pairs:
        if i < len(ours["masks"]) and j < len(theirs["masks"]):
            a, b = ours["masks"][i], theirs["masks"][j]
            union = _ones(a | b)
            overlaps.append(_ones(a & b) / union if union else 1.0)
    return overlaps


def _ones(packed: Tensor) -> int:
    return int(np.unpackbits(packed.numpy()).sum())
