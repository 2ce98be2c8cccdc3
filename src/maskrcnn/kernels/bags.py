"""Weighted sums of table rows that can be trained, by `embedding_bag`, whose backward is made of bags too.

`kernels.weighted_sums` has those that are planned once and need no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Bags:
    """B weighted sums of E rows of a table each.

    Attributes:
        rows: (B, E) whole row numbers.
        weights: (B, E).
        places: (B,) int64, which rows of the result they are.
    """

    rows: Tensor
    weights: Tensor
    places: Tensor

    def sums(self, table: Tensor) -> Tensor:
        """(B, C) of a table (T, C)."""
        if self.rows.numel() == 0:
            return table.new_zeros((self.rows.shape[0], table.shape[1]))
        return F.embedding_bag(self.rows, table, mode="sum", per_sample_weights=self.weights)

    def table_gradient(self, gradient: Tensor, num_rows: int) -> Tensor:
        """(num_rows, C) from that of the result (S, C): sorted by row, every row gathers its bags' gradients."""
        if self.rows.numel() == 0:
            return gradient.new_zeros((num_rows, gradient.shape[1]))
        sorted_rows, order = self.rows.flatten().sort(stable=True)
        offsets = torch.searchsorted(
            sorted_rows, torch.arange(num_rows, dtype=torch.int32, device=gradient.device), out_int32=True
        )
        bags = self.places.to(torch.int32).repeat_interleave(self.rows.shape[1])[order]
        weights = self.weights.flatten()[order]
        del sorted_rows, order
        return F.embedding_bag(bags, gradient, offsets, mode="sum", per_sample_weights=weights)


def weighted_rows(tables: Sequence[Tensor], bags: Sequence[Bags]) -> Tensor:
    """(S, C) weighted sums of table rows, each in its place.

    Args:
        tables: (T_i, C).
        bags: of each table; their places ascend, and together are 0..S-1.
    """
    typed = [replace(own, rows=own.rows.to(torch.int32), weights=own.weights.to(tables[0].dtype)) for own in bags]
    result: Tensor = _WeightedRows.apply(typed, *tables)
    return result


class _WeightedRows(torch.autograd.Function):
    """The gradient of the result is read where it lies, by the bags of every table."""

    @staticmethod
    def forward(ctx: Any, bags: Sequence[Bags], *tables: Tensor) -> Tensor:
        ctx.bags, ctx.num_rows = bags, [table.shape[0] for table in tables]
        if len(bags) == 1:
            return bags[0].sums(tables[0])
        whole = tables[0].new_empty((sum(own.places.shape[0] for own in bags), tables[0].shape[1]))
        for own, table in zip(bags, tables, strict=True):
            whole.index_copy_(0, own.places, own.sums(table))
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0].contiguous()
        return None, *(own.table_gradient(gradient, n) for own, n in zip(ctx.bags, ctx.num_rows, strict=True))
