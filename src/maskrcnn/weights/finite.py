"""Weights that a network can compute with: finite floating-point numbers, each of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.text import one_line

_COUNTER = "num_batches_tracked"
"""Batch norms count their batches in whole numbers."""


def require_finite(weights: Mapping[str, Tensor], source: str) -> None:
    """See that all weights are finite floating-point numbers: a model with one NaN finds nothing, without an error.

    Args:
        weights: by name.
        source: the file, for the message.

    Raises:
        UserError: naming the first weight that is complex, of whole numbers or of truth values, or that holds a NaN or
            an infinite number.
    """
    for name, weight in weights.items():
        if not weight.is_floating_point():
            _require_counter(name, weight, source)
        # a sum is one pass without memory of its own; where it is not finite, it may only have been too large
        elif not weight.sum().isfinite() and not weight.isfinite().all():
            raise UserError(
                f"{source}: {one_line(name)} holds {_count(weight)} of {weight.numel()} numbers that are NaN or "
                "infinite; the training that wrote it had failed, or the file is damaged; use another checkpoint"
            )


def _require_counter(name: str, weight: Tensor, source: str) -> None:
    if name.endswith(_COUNTER) and weight.dtype in (torch.int64, torch.int32) and weight.ndim == 0:
        return
    raise UserError(
        f"{source}: {one_line(name)} is of type {str(weight.dtype).removeprefix('torch.')}; expected floating-point "
        "numbers, as a network is trained with (quantised weights cannot be used)"
    )


def _count(weight: Tensor) -> int:
    return int((~weight.isfinite()).sum())
