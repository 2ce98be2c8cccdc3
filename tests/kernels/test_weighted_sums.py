from __future__ import annotations

import torch

from maskrcnn.kernels.weighted_sums import WeightedSums

TABLE = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])


def test_a_matrix_times_groups_of_rows() -> None:
    """By hand: the sums 1 a + 2 b and -b of the groups (row 0, row 1) and (row 3, row 2)."""
    sums = WeightedSums.of_groups(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[0, 1], [3, 2]]))
    assert sums.of(TABLE).tolist() == [[5.0, 50.0], [-2.0, -20.0], [10.0, 100.0], [-3.0, -30.0]]


def test_a_matrix_for_every_group() -> None:
    """All groups times the first matrix, then all times the second."""
    matrices = torch.tensor([[1.0, 2.0], [0.0, -1.0]])[:, None, None]
    sums = WeightedSums.of_groups(matrices, torch.tensor([[0, 1], [3, 2]]))
    assert sums.of(TABLE).tolist() == [[5.0, 50.0], [10.0, 100.0], [-2.0, -20.0], [-3.0, -30.0]]


def test_zeros_cost_nothing() -> None:
    sums = WeightedSums.of_groups(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0, 1], [2, 3]]))
    assert sums.rows.tolist() == [0, 1, 2, 3]


def test_what_a_negative_row_stands_for_is_zero_whatever_the_table_holds() -> None:
    table = TABLE.clone()
    table[0] = table[3] = torch.nan
    sums = WeightedSums.of_groups(torch.tensor([[5.0, 1.0]]), torch.tensor([[-1, 1], [2, -1], [-1, -1]]))
    assert sums.of(table).tolist() == [[2.0, 20.0], [15.0, 150.0], [0.0, 0.0]]


def test_empty_sums_at_the_end() -> None:
    sums = WeightedSums.of_groups(torch.tensor([[1.0]]), torch.tensor([[2]]), num_zeros=2)
    assert sums.of(TABLE).tolist() == [[3.0, 30.0], [0.0, 0.0], [0.0, 0.0]]


def test_in_double_precision() -> None:
    torch.manual_seed(0)
    matrix, table = torch.randn(3, 4).double(), torch.randn(8, 5).double()
    sums = WeightedSums.of_groups(matrix, torch.arange(8).view(2, 4))
    expected = (matrix @ table.view(2, 4, 5)).flatten(0, 1)
    torch.testing.assert_close(sums.of(table), expected, atol=1e-12, rtol=1e-12)
