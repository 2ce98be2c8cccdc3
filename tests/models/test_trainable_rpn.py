from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskrcnn.models import trainable_rpn, winograd
from maskrcnn.models.rpn import RPNHead
from maskrcnn.models.trainable import prepare_for_training
from maskrcnn.models.trainable_rpn import TrainableRPNHead
from maskrcnn.ops.winograd import TILES

SIZES = ((12, 20), (6, 10), (3, 5))
Loss = Callable[[list[Tensor], list[Tensor]], Tensor]


def head() -> RPNHead:
    torch.manual_seed(0)
    plain = RPNHead(16, 3)
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return plain


def features() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, 16, *size).contiguous(memory_format=torch.channels_last) for size in SIZES]


def results(rpn_head: RPNHead, loss: Loss, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Outputs, and the gradients of inputs and parameters."""
    rpn_head = copy.deepcopy(rpn_head).to(dtype)
    levels = [level.to(dtype).requires_grad_() for level in features()]
    logits, deltas = rpn_head(levels)
    loss(logits, deltas).backward()
    gradients = [leaf.grad for leaf in (*levels, *rpn_head.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [*logits, *deltas, *(gradient for gradient in gradients if gradient is not None)]


def a_few(logits: list[Tensor], deltas: list[Tensor]) -> Tensor:
    """Anchors in corners, at edges, next to each other, twice the same; none on the last level."""
    fine = logits[0][0, [0, 1, 3, 59, 359 * 2, 719]].square().sum() + logits[0][1, [400, 401, 404]].sum()
    return fine + deltas[0][1, 400].square().sum() + deltas[1][0, 90:92].sin().sum() + 0 * logits[2].sum()


def every_one(logits: list[Tensor], deltas: list[Tensor]) -> Tensor:
    return torch.cat(logits, dim=1).sigmoid().sum() + torch.cat(deltas, dim=1).square().sum()


def nothing(logits: list[Tensor], deltas: list[Tensor]) -> Tensor:
    return 0 * every_one(logits, deltas)


@pytest.mark.parametrize("loss", [a_few, every_one, nothing])
@pytest.mark.parametrize("by_winograd", [True, False])
def test_equal_to_the_head_it_replaces(loss: Loss, by_winograd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And to double precision; Winograd's way rounds more."""
    tolerance = 1e-3 if by_winograd else 1e-4
    if by_winograd:
        monkeypatch.setattr(winograd, "MIN_CHANNELS", dict.fromkeys(TILES, 16))
        monkeypatch.setattr(winograd, "MIN_TILES_PER_CHANNEL", 0)
    for actual, expected in zip(
        results(TrainableRPNHead(head()), loss), results(head(), loss, torch.double), strict=True
    ):
        torch.testing.assert_close(actual.double(), expected, atol=tolerance, rtol=1e-4)


def test_only_a_large_share_of_the_cells_takes_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def usual_way(*_: object) -> None:
        raise AssertionError("the usual way")

    monkeypatch.setattr(trainable_rpn, "_gradients_of_all_cells", usual_way)
    results(TrainableRPNHead(head()), a_few)
    with pytest.raises(AssertionError, match="the usual way"):
        results(TrainableRPNHead(head()), every_one)


def test_a_gradient_that_is_not_finite_is_not_lost() -> None:
    def overflow(logits: list[Tensor], deltas: list[Tensor]) -> Tensor:
        return logits[0][0, 5] * float("nan") + 0 * deltas[1].sum()

    gradients = results(TrainableRPNHead(head()), overflow)[6:]
    assert not torch.stack([gradient.isfinite().all() for gradient in gradients]).all()


def test_a_head_with_more_convolutions_stays() -> None:
    model = torch.nn.Sequential(RPNHead(8, 1, num_convs=2), RPNHead(8, 1))
    before = model.state_dict()
    prepare_for_training(model)
    assert [type(layer) for layer in model] == [RPNHead, TrainableRPNHead]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
