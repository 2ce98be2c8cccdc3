from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.weights.finite import require_finite


def test_weights_that_a_network_can_compute_with() -> None:
    largest = torch.finfo(torch.float32).max
    require_finite(
        {
            "large": torch.full((9,), largest),  # their sum is infinite, they are not
            "half": torch.full((9,), 60_000.0, dtype=torch.float16),
            "bfloat16": torch.ones(2, dtype=torch.bfloat16),
            "empty": torch.zeros(0),
            "bn.num_batches_tracked": torch.tensor(7),
        },
        "a.pth",
    )


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.tensor([1.0, float("nan"), 2.0]), r"b holds 1 of 3 numbers that are NaN or infinite"),
        (torch.tensor([float("inf"), -float("inf")]), r"b holds 2 of 2"),
        (torch.tensor([float("inf")], dtype=torch.float16), r"b holds 1 of 1"),
        (torch.ones(2, dtype=torch.complex64), "b is of type complex64; expected floating-point numbers"),
        (torch.ones(2, dtype=torch.int8), "b is of type int8; .*quantised"),
        (torch.ones(2, dtype=torch.bool), "b is of type bool"),
        (torch.tensor(3), "b is of type int64"),
    ],
)
def test_the_others_are_refused_by_name(weight: Tensor, message: str) -> None:
    with pytest.raises(UserError, match=f"a.pth: {message}"):
        require_finite({"a": torch.ones(1), "b": weight}, "a.pth")
    with pytest.raises(UserError, match="num_batches_tracked is of type"):
        require_finite({"bn.num_batches_tracked": torch.ones(2, dtype=torch.int64)}, "a.pth")
