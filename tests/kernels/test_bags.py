from __future__ import annotations

import torch

from maskrcnn.kernels.bags import Bags, weighted_rows

FIRST = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
SECOND = torch.tensor([[5.0, 50.0], [7.0, 70.0]])


def bags(rows: list[list[int]], weights: list[list[float]], places: list[int]) -> Bags:
    return Bags(torch.tensor(rows), torch.tensor(weights), torch.tensor(places))


def test_sums_of_two_tables_by_hand() -> None:
    of_first = bags([[0, 2], [1, 1]], [[1.0, 2.0], [0.5, 0.25]], [0, 2])
    of_second = bags([[1]], [[3.0]], [1])
    sums = weighted_rows([FIRST, SECOND], [of_first, of_second])
    assert sums.tolist() == [[7.0, 70.0], [21.0, 210.0], [1.5, 15.0]]


def test_every_row_gathers_the_gradients_of_its_bags() -> None:
    first, second = FIRST.clone().requires_grad_(), SECOND.clone().requires_grad_()
    of_first = bags([[0, 2], [2, 2]], [[1.0, 2.0], [0.5, 0.25]], [0, 2])
    of_second = bags([[1]], [[3.0]], [1])
    sums = weighted_rows([first, second], [of_first, of_second])
    sums.backward(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert first.grad is not None and second.grad is not None
    assert first.grad.tolist() == [[1.0, 2.0], [0.0, 0.0], [2.0 + 0.75 * 5, 4.0 + 0.75 * 6]]
    assert second.grad.tolist() == [[0.0, 0.0], [9.0, 12.0]]


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    tables = [torch.randn(n, 3, dtype=torch.double, requires_grad=True) for n in (4, 5)]
    of_first = Bags(torch.randint(4, (3, 6)), torch.rand(3, 6), torch.tensor([1, 2, 4]))
    of_second = Bags(torch.randint(5, (2, 2)), torch.rand(2, 2), torch.tensor([0, 3]))
    assert torch.autograd.gradcheck(lambda *t: weighted_rows(t, [of_first, of_second]), tables)


def test_bags_without_rows_are_zero() -> None:
    table = FIRST.clone().requires_grad_()
    empty = Bags(torch.empty(2, 0, dtype=torch.int64), torch.empty(2, 0), torch.tensor([0, 1]))
    sums = weighted_rows([table], [empty])
    sums.sum().backward()
    assert sums.tolist() == [[0.0, 0.0]] * 2
    assert table.grad is not None and not table.grad.any()
