"""Weighted sums of table rows: a linear map along one axis of channels-last data, planned once, computed often.

`embedding_bag` computes them, whole rows of channels at a time, in half the time of batched products of small matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class WeightedSums:
    """Which rows each of S sums adds, and with what weights.

    Attributes:
        rows: (E,) int32 row numbers, those of one sum after those of another.
        starts: (S + 1,) int32, where in `rows` each sum begins and ends.
        weights: (E,).
    """

    rows: Tensor
    starts: Tensor
    weights: Tensor

    @classmethod
    def of_groups(cls, matrix: Tensor, groups: Tensor, num_zeros: int = 0) -> WeightedSums:
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
