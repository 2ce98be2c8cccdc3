"""The losses of the outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ops.counts import divisor


def smooth_l1(difference: Tensor, beta: float) -> Tensor:
    """Sum of smooth-L1: 0.5 d^2 / beta below `beta`, |d| - beta / 2 above (Fast R-CNN, eq. 3); beta 0 is L1."""
    magnitude = difference.abs()
    if beta == 0:
        return magnitude.sum()
    return torch.where(magnitude < beta, 0.5 * magnitude**2 / beta, magnitude - 0.5 * beta).sum()


def objectness_loss(logits: Tensor, is_object: Tensor) -> Tensor:
    """Sum of binary cross-entropy over the sampled anchors (B,)."""
    return F.binary_cross_entropy_with_logits(logits, is_object.to(logits.dtype), reduction="sum")


def classification_loss(class_logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the sampled RoIs (R, K + 1), background = label K; no RoIs give 0."""
    return F.cross_entropy(class_logits, labels, reduction="sum") / divisor(labels.shape[0])


def mask_loss(mask_logits: Tensor, mask_targets: Tensor) -> Tensor:
    """L_mask: mean binary cross-entropy over the m x m pixels of the true class's mask (Mask R-CNN section 3).

    Args:
        mask_logits: (R, m, m), the mask of each positive RoI's true class; no RoIs give 0.
        mask_targets: (R, m, m) in [0, 1].
    """
    loss = F.binary_cross_entropy_with_logits(mask_logits, mask_targets, reduction="sum")
    return loss / divisor(mask_logits.numel())


def mask_competition_loss(logits: Tensor, own: Tensor, mask_targets: Tensor) -> Tensor:
    """Mean over the m x m pixels of the softmax cross-entropy between classes and background (table 2b, "softmax").

    Args:
        logits: (R, M, m, m), background last; no RoIs give 0.
        own: (R,) int64, the mask of each positive RoI's true class.
        mask_targets: (R, m, m) in [0, 1]: the share of a pixel that is object; the rest is background.
    """
    log_probs = logits.log_softmax(dim=1)
    foreground = log_probs[torch.arange(own.shape[0], device=own.device), own]
    loss = -(mask_targets * foreground + (1 - mask_targets) * log_probs[:, -1]).sum()
    return loss / divisor(mask_targets.numel())
