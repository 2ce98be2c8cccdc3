from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskrcnn.acceleration import choice
from maskrcnn.acceleration.replacing import as_a
from maskrcnn.acceleration.rpn import FastRPN, OutputAndFeatures
from maskrcnn.acceleration.training import speed_up_training, undo_speed_up
from maskrcnn.kernels.winograd import TILES
from maskrcnn.models.anchors import Anchors
from maskrcnn.models.rpn import RPN, DrawnAnchors, ProposalLimits, RPNHead, RPNOutput

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


def plain(num_convs: int = 1) -> RPN:
    torch.manual_seed(0)
    head = RPNHead(16, NUM_ANCHORS, num_convs)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    anchors = Anchors([[16.0]] * 3, (0.5, 1.0, 2.0), (4, 8, 16))
    return RPN(head, anchors, train_limits=ProposalLimits(9, 9), test_limits=ProposalLimits(9, 9))


def fast() -> FastRPN:
    return as_a(FastRPN, plain())


def features() -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, 16, *size).contiguous(memory_format=torch.channels_last) for size in SIZES]


def run(rpn: RPN, levels: list[Tensor], drawn: str) -> tuple[RPNOutput, Tensor, Tensor]:
    """The outputs, and logits and deltas of the anchors drawn."""
    images, indices = (torch.tensor(numbers, dtype=torch.int64) for numbers in DRAWN[drawn])
    output, found = rpn(levels, (48, 80)), []

    def noted(drawn: DrawnAnchors, logits: Tensor, deltas: Tensor, num_images: int) -> tuple[Tensor, Tensor]:
        found.append((logits, deltas))
        return logits.sum(), deltas.sum()

    rpn.draw = lambda *_: DrawnAnchors(images, indices, torch.empty(0, 4))  # type: ignore[method-assign]
    rpn.loss_of = noted  # type: ignore[method-assign]
    rpn.loss(output, [], [])
    return output, *found[0]


def results(rpn: RPN, drawn: str, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Outputs, those of the anchors drawn, and the gradients of a loss of these."""
    rpn = rpn.to(dtype)
    levels = [level.to(dtype).requires_grad_() for level in features()]
    output, logits, deltas = run(rpn, levels, drawn)
    (logits.square().sum() + deltas.sin().sum()).backward()
    gradients = [leaf.grad for leaf in (*levels, *rpn.head.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [*output.objectness_logits, *output.deltas, logits, deltas, *(g for g in gradients if g is not None)]


@pytest.mark.parametrize("drawn", DRAWN)
@pytest.mark.parametrize("by_winograd", [True, False])
def test_equal_to_the_rpn_it_replaces(drawn: str, by_winograd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And to double precision; Winograd's algorithm rounds more."""
    tolerance = 1e-3 if by_winograd else 1e-4
    if by_winograd:
        monkeypatch.setattr(choice, "MIN_CHANNELS", dict.fromkeys(TILES, 16))
        monkeypatch.setattr(choice, "MIN_TILES", 0)
        monkeypatch.setattr(choice, "MIN_PRODUCTS", 0)
    for actual, expected in zip(results(fast(), drawn), results(plain(), drawn, torch.double), strict=True):
        torch.testing.assert_close(actual.double(), expected, atol=tolerance, rtol=1e-4)


def test_in_double_precision_it_is_the_usual_rpn() -> None:
    usual, ours = results(plain(), "a few", torch.double), results(fast(), "a few", torch.double)
    assert all(torch.equal(a, b) for a, b in zip(usual, ours, strict=True))


def test_gradients_flow_through_the_drawn_anchors_alone() -> None:
    levels = [level.requires_grad_() for level in features()]
    output, logits, deltas = run(fast(), levels, "a few")
    assert isinstance(output, OutputAndFeatures)
    assert not any(part.requires_grad for part in (*output.objectness_logits, *output.deltas))
    assert logits.requires_grad and deltas.requires_grad


def test_what_lies_outside_is_zero_whatever_the_map_holds() -> None:
    """The corner's neighbourhood reaches over two edges; the other end of the map holds NaN."""
    levels = features()
    expected = run(fast(), levels, "a few")[1][0]
    levels[0][:, :, 6:] = levels[0][:, :, :, 10:] = torch.nan
    assert torch.equal(run(fast(), levels, "a few")[1][0], expected)


def test_a_gradient_that_is_not_finite_is_not_lost() -> None:
    rpn = fast()
    _, logits, _ = run(rpn, features(), "a few")
    (logits[0] * float("nan")).backward()
    gradients = [parameter.grad for parameter in rpn.head.convs.parameters()]
    assert all(gradient is not None and gradient.isnan().any() for gradient in gradients)


def test_a_head_with_more_convolutions_stays() -> None:
    model = torch.nn.Sequential(plain(num_convs=2), plain())
    before = model.state_dict()
    speed_up_training(model)
    assert [type(part) for part in model] == [RPN, FastRPN]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [type(part) for part in undo_speed_up(model)] == [RPN, RPN]
