"""Weighted sums of table rows, read by whole rows of channels, which uses memory bandwidth best.

Both kinds are `embedding_bag`s, twice as fast as batched products of small matrices. `PlannedSums` are a linear map
along one axis of channels-last data, whose rows are chosen once for a shape; `TrainableSums` choose theirs by values,
and the gradient of their table is made of bags too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class PlannedSums:
    """Planned once, computed often, without gradients: which rows each of S sums adds, and with what weights.

    Attributes:
        rows: (E,) int32 row numbers, those of one sum after those of another.
        starts: (S + 1,) int32, where in `rows` each sum begins and ends.
        weights: (E,).
    """

    rows: Tensor
    starts: Tensor
    weights: Tensor

    @classmethod
    def of_groups(cls, matrix: Tensor, groups: Tensor, num_zeros: int = 0) -> PlannedSums:
        """A matrix times groups of rows: P sums for every group, one group's after another's.

        Args:
            matrix: (P, Q); or (..., P, Q), one for every group, broadcast. Zeros in it cost nothing.
            groups: (..., Q) int64 row numbers; what a negative one stands for is zero.
            num_zeros: so many empty sums at the end.
        """
        reads, weights = torch.broadcast_tensors(groups.unsqueeze(-2), matrix)
        kept = (reads >= 0) & (weights != 0)
        ends = kept.flatten(0, -2).sum(1).cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends, ends[-1:].expand(num_zeros)])
        return cls(reads[kept].to(torch.int32), starts.to(torch.int32), weights[kept])

    def of(self, table: Tensor) -> Tensor:
        """(S, C) from a table (T, C); without gradients."""
        return F.embedding_bag(
            self.rows, table, self.starts, mode="sum", per_sample_weights=self.weights, include_last_offset=True
        )


@dataclass(frozen=True)
class TrainableSums:
    """Made for one use, with gradients: B weighted sums of E rows of a table each.

    Attributes:
        rows: (B, E) whole row numbers.
        weights: (B, E).
        places: (B,) int64, which rows of the result they are.
    """

    rows: Tensor
    weights: Tensor
    places: Tensor

    def of(self, table: Tensor) -> Tensor:
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


def trainable_sums(tables: Sequence[Tensor], sums: Sequence[TrainableSums]) -> Tensor:
    """(S, C) weighted sums of table rows, each in its place.

    Args:
        tables: (T_i, C).
        sums: of each table; their places ascend, and together are 0..S-1.
    """
    typed = [replace(own, rows=own.rows.to(torch.int32), weights=own.weights.to(tables[0].dtype)) for own in sums]
    result: Tensor = _TrainableSums.apply(typed, *tables)
    return result


class _TrainableSums(torch.autograd.Function):
    """The gradient of the result is read where it lies, by the bags of every table."""

    @staticmethod
    def forward(ctx: Any, sums: Sequence[TrainableSums], *tables: Tensor) -> Tensor:
        ctx.sums, ctx.num_rows = sums, [table.shape[0] for table in tables]
        if len(sums) == 1:
            return sums[0].of(tables[0])
        whole = tables[0].new_empty((sum(own.places.shape[0] for own in sums), tables[0].shape[1]))
        for own, table in zip(sums, tables, strict=True):
            whole.index_copy_(0, own.places, own.of(table))
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0].contiguous()
        return None, *(own.table_gradient(gradient, n) for own, n in zip(ctx.sums, ctx.num_rows, strict=True))
