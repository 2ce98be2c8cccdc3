from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from maskrcnn.acceleration import choice
from maskrcnn.acceleration.training import prepare_for_training
from maskrcnn.acceleration.training_rpn import TrainableRPNHead
from maskrcnn.kernels.winograd import TILES
from maskrcnn.models.rpn import RPNHead, RPNOutput

SIZES = ((12, 20), (6, 10), (3, 5))
NUM_ANCHORS = 3
FIRST = (0, 720, 900)
"""The first anchor of each level."""

DRAWN = {
    "a few": (  # in corners, at edges, next to each other, twice the same; none on the last level
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0],
        [0, 1, 3, 59, 718, 719, 400, 401, 404, FIRST[1] + 90, 59],
    ),
    "every one": ([0] * 945 + [1] * 945, [*range(945), *range(945)]),
    "one level in no order": ([1, 0, 1], [FIRST[2] + 44, FIRST[2], FIRST[2] + 3]),
    "nothing": ([], []),
}


def head() -> RPNHead:
    torch.manual_seed(0)
    plain = RPNHead(16, NUM_ANCHORS)
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return plain


def features() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, 16, *size).contiguous(memory_format=torch.channels_last) for size in SIZES]


def run(rpn_head: RPNHead, levels: list[Tensor], drawn: str) -> tuple[RPNOutput, Tensor, Tensor]:
    output = RPNOutput(*rpn_head(levels), [], levels)
    images, anchors = (torch.tensor(numbers, dtype=torch.int64) for numbers in DRAWN[drawn])
    return output, *rpn_head.at(output, images, anchors)


def results(rpn_head: RPNHead, drawn: str, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Outputs, those of the anchors drawn, and the gradients of a loss of these."""
    rpn_head = copy.deepcopy(rpn_head).to(dtype)
    levels = [level.to(dtype).requires_grad_() for level in features()]
    output, logits, deltas = run(rpn_head, levels, drawn)
    (logits.square().sum() + deltas.sin().sum()).backward()
    gradients = [leaf.grad for leaf in (*levels, *rpn_head.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [*output.objectness_logits, *output.deltas, logits, deltas, *(g for g in gradients if g is not None)]


@pytest.mark.parametrize("drawn", DRAWN)
@pytest.mark.parametrize("by_winograd", [True, False])
def test_equal_to_the_head_it_replaces(drawn: str, by_winograd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And to double precision; Winograd's way rounds more."""
    tolerance = 1e-3 if by_winograd else 1e-4
    if by_winograd:
        monkeypatch.setattr(choice, "MIN_CHANNELS", dict.fromkeys(TILES, 16))
        monkeypatch.setattr(choice, "MIN_TILES", 0)
        monkeypatch.setattr(choice, "MIN_PRODUCTS", 0)
    for actual, expected in zip(
        results(TrainableRPNHead(head()), drawn), results(head(), drawn, torch.double), strict=True
    ):
        torch.testing.assert_close(actual.double(), expected, atol=tolerance, rtol=1e-4)


def test_in_double_precision_it_is_the_usual_head() -> None:
    usual, ours = results(head(), "a few", torch.double), results(TrainableRPNHead(head()), "a few", torch.double)
    assert all(torch.equal(a, b) for a, b in zip(usual, ours, strict=True))


def test_gradients_flow_through_the_drawn_anchors_alone() -> None:
    levels = [level.requires_grad_() for level in features()]
    output, logits, deltas = run(TrainableRPNHead(head()), levels, "a few")
    assert not any(part.requires_grad for part in (*output.objectness_logits, *output.deltas))
    assert logits.requires_grad and deltas.requires_grad


def test_what_lies_outside_is_zero_whatever_the_map_holds() -> None:
    """The corner's neighbourhood reaches over two edges; the other end of the map holds NaN."""
    levels = features()
    expected = run(TrainableRPNHead(head()), levels, "a few")[1][0]
    levels[0][:, :, 6:] = levels[0][:, :, :, 10:] = torch.nan
    assert torch.equal(run(TrainableRPNHead(head()), levels, "a few")[1][0], expected)


def test_a_gradient_that_is_not_finite_is_not_lost() -> None:
    rpn_head = TrainableRPNHead(head())
    _, logits, _ = run(rpn_head, features(), "a few")
    (logits[0] * float("nan")).backward()
    gradients = [parameter.grad for parameter in rpn_head.convs.parameters()]
    assert all(gradient is not None and gradient.isnan().any() for gradient in gradients)


def test_a_head_with_more_convolutions_stays() -> None:
    model = torch.nn.Sequential(RPNHead(8, 1, num_convs=2), RPNHead(8, 1))
    before = model.state_dict()
    prepare_for_training(model)
    assert [type(layer) for layer in model] == [RPNHead, TrainableRPNHead]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
