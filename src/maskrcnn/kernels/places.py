"""Rows that were computed in several parts, each part for other places of the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def in_places(places: Sequence[Tensor], parts: Sequence[Tensor]) -> Tensor:
    """(R, ...): every part (R_i, ...) at its places (R_i,), which ascend, and together are 0..R-1."""
    if len(parts) == 1:
        return parts[0]
    whole: Tensor = _InPlaces.apply(len(places), *places, *parts)
    return whole


class _InPlaces(torch.autograd.Function):
    """One pass over memory, and one for the gradient; `cat`, sorted by an index, takes two and three."""

    @staticmethod
    def forward(ctx: Any, num_parts: int, *tensors: Tensor) -> Tensor:
        places, parts = tensors[:num_parts], tensors[num_parts:]
        ctx.save_for_backward(*places)
        whole = parts[0].new_empty((sum(part.shape[0] for part in parts), *parts[0].shape[1:]))
        for place, part in zip(places, parts, strict=True):
            whole.index_copy_(0, place, part)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        places = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        return None, *(None for _ in places), *(gradient.index_select(0, place) for place in places)
