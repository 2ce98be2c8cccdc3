from __future__ import annotations

import torch

from maskrcnn.kernels.weighted_sums import PlannedSums, TrainableSums, trainable_sums

TABLE = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])


def test_a_matrix_times_groups_of_rows() -> None:
    """By hand: the sums 1 a + 2 b and -b of the groups (row 0, row 1) and (row 3, row 2)."""
    sums = PlannedSums.of_groups(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[0, 1], [3, 2]]))
    assert sums.of(TABLE).tolist() == [[5.0, 50.0], [-2.0, -20.0], [10.0, 100.0], [-3.0, -30.0]]


def test_a_matrix_for_every_group() -> None:
    """All groups times the first matrix, then all times the second."""
    matrices = torch.tensor([[1.0, 2.0], [0.0, -1.0]])[:, None, None]
    sums = PlannedSums.of_groups(matrices, torch.tensor([[0, 1], [3, 2]]))
    assert sums.of(TABLE).tolist() == [[5.0, 50.0], [10.0, 100.0], [-2.0, -20.0], [-3.0, -30.0]]


def test_zeros_cost_nothing() -> None:
    sums = PlannedSums.of_groups(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0, 1], [2, 3]]))
    assert sums.rows.tolist() == [0, 1, 2, 3]


def test_what_a_negative_row_stands_for_is_zero_whatever_the_table_holds() -> None:
    table = TABLE.clone()
    table[0] = table[3] = torch.nan
    sums = PlannedSums.of_groups(torch.tensor([[5.0, 1.0]]), torch.tensor([[-1, 1], [2, -1], [-1, -1]]))
    assert sums.of(table).tolist() == [[2.0, 20.0], [15.0, 150.0], [0.0, 0.0]]


def test_empty_sums_at_the_end() -> None:
    sums = PlannedSums.of_groups(torch.tensor([[1.0]]), torch.tensor([[2]]), num_zeros=2)
    assert sums.of(TABLE).tolist() == [[3.0, 30.0], [0.0, 0.0], [0.0, 0.0]]


def test_in_double_precision() -> None:
    torch.manual_seed(0)
    matrix, table = torch.randn(3, 4).double(), torch.randn(8, 5).double()
    sums = PlannedSums.of_groups(matrix, torch.arange(8).view(2, 4))
    expected = (matrix @ table.view(2, 4, 5)).flatten(0, 1)
    torch.testing.assert_close(sums.of(table), expected, atol=1e-12, rtol=1e-12)


# --- with gradients ---

FIRST = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
SECOND = torch.tensor([[5.0, 50.0], [7.0, 70.0]])


def bags(rows: list[list[int]], weights: list[list[float]], places: list[int]) -> TrainableSums:
    return TrainableSums(torch.tensor(rows), torch.tensor(weights), torch.tensor(places))


def test_sums_of_two_tables_by_hand() -> None:
    of_first = bags([[0, 2], [1, 1]], [[1.0, 2.0], [0.5, 0.25]], [0, 2])
    of_second = bags([[1]], [[3.0]], [1])
    sums = trainable_sums([FIRST, SECOND], [of_first, of_second])
    assert sums.tolist() == [[7.0, 70.0], [21.0, 210.0], [1.5, 15.0]]


def test_every_row_gathers_the_gradients_of_its_bags() -> None:
    first, second = FIRST.clone().requires_grad_(), SECOND.clone().requires_grad_()
    of_first = bags([[0, 2], [2, 2]], [[1.0, 2.0], [0.5, 0.25]], [0, 2])
    of_second = bags([[1]], [[3.0]], [1])
    sums = trainable_sums([first, second], [of_first, of_second])
    sums.backward(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert first.grad is not None and second.grad is not None
    assert first.grad.tolist() == [[1.0, 2.0], [0.0, 0.0], [2.0 + 0.75 * 5, 4.0 + 0.75 * 6]]
    assert second.grad.tolist() == [[0.0, 0.0], [9.0, 12.0]]


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    tables = [torch.randn(n, 3, dtype=torch.double, requires_grad=True) for n in (4, 5)]
    of_first = TrainableSums(torch.randint(4, (3, 6)), torch.rand(3, 6), torch.tensor([1, 2, 4]))
    of_second = TrainableSums(torch.randint(5, (2, 2)), torch.rand(2, 2), torch.tensor([0, 3]))
    assert torch.autograd.gradcheck(lambda *t: trainable_sums(t, [of_first, of_second]), tables)


def test_bags_without_rows_are_zero() -> None:
    table = FIRST.clone().requires_grad_()
    empty = TrainableSums(torch.empty(2, 0, dtype=torch.int64), torch.empty(2, 0), torch.tensor([0, 1]))
    sums = trainable_sums([table], [empty])
    sums.sum().backward()
    assert sums.tolist() == [[0.0, 0.0]] * 2
    assert table.grad is not None and not table.grad.any()
