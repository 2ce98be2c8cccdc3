from __future__ import annotations

from typing import Any

import pytest
import torch

from maskrcnn.models.anchors import Anchors
from maskrcnn.models.rpn import RPN, ProposalLimits, RPNHead, RPNOutput
from maskrcnn.structures import ImageBatch, Targets

LIMITS = ProposalLimits(pre_nms_top_k=10, post_nms_top_k=4)


def make_rpn(**settings: Any) -> RPN:
    anchors = Anchors([(8,), (16,)], (1.0,), (4, 8))
    return RPN(RPNHead(4, 1), anchors, train_limits=LIMITS, test_limits=LIMITS, **settings)


def batch(height: int = 32, width: int = 32) -> ImageBatch:
    return ImageBatch.from_images([torch.zeros(3, height, width)], [(height, width)])


def output_of(rpn: RPN, fill: float = -10.0) -> RPNOutput:
    """Anchors of an 8 x 8 and a 4 x 4 map with every logit at `fill` and no deltas."""
    features = [torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 4, 4)]
    anchors = rpn.anchors(features, (32, 32))
    logits = [torch.full((1, len(a)), fill) for a in anchors]
    return RPNOutput(logits, [torch.zeros(1, len(a), 4) for a in anchors], anchors)


def test_head_output_lines_up_with_the_anchors() -> None:
    """A head that copies its input: the logit of anchor a at (y, x) stands where that anchor stands."""
    torch.manual_seed(0)
    head = RPNHead(2, 2)
    feature = torch.rand(1, 2, 3, 5)
    with torch.no_grad():
        head.convs[0].weight.zero_()
        for c in range(2):
            head.convs[0].weight[c, c, 1, 1] = 1
            head.objectness.weight[c] = torch.eye(2)[c].view(2, 1, 1)
    (logits,), (deltas,) = head([feature])
    assert deltas.shape == (1, 30, 4)
    torch.testing.assert_close(logits.view(3, 5, 2), feature[0].permute(1, 2, 0))


def test_proposals_are_the_best_anchors_clipped() -> None:
    rpn = make_rpn()
    output = output_of(rpn)
    output.objectness_logits[0][0, 9] = 5.0  # cell (y 1, x 1): centre (4, 4)
    output.objectness_logits[0][0, 0] = 4.0  # cell (0, 0): clipped to a quarter
    (proposals,) = rpn.select(output, batch(), LIMITS)
    assert len(proposals) == 4
    assert proposals.boxes[:2].tolist() == [[0, 0, 8, 8], [0, 0, 4, 4]]
    assert proposals.objectness_logits[:2].tolist() == [5, 4]


def test_duplicates_are_suppressed_within_a_level_only() -> None:
    rpn = make_rpn()
    output = output_of(rpn)
    output.objectness_logits[0][0, [9, 10]] = torch.tensor([5.0, 4.0])
    output.deltas[0][0, 10, 0] = -0.5  # moves cell (1, 2)'s box half its width to the left, onto cell (1, 1)'s
    output.objectness_logits[1][0, 0] = 3.0  # the coarse level, clipped to the same box
    (proposals,) = rpn.select(output, batch(), LIMITS)
    assert proposals.boxes[:2].tolist() == [[0, 0, 8, 8], [0, 0, 8, 8]]
    assert proposals.objectness_logits[:2].tolist() == [5, 3]


def test_proposals_say_which_anchor_they_were() -> None:
    """Numbered over all levels: the coarse one begins after the 64 of the fine one."""
    rpn = make_rpn()
    output = output_of(rpn)
    output.objectness_logits[0][0, [9, 0]] = torch.tensor([5.0, 4.0])
    output.objectness_logits[1][0, 15] = 4.5
    (proposals,) = rpn.select(output, batch(), LIMITS)
    assert proposals.anchors is not None and proposals.anchors[:3].tolist() == [9, 64 + 15, 0]
    assert proposals.boxes_by_anchor()[0].tolist() == [0, 0, 4, 4]


def test_small_and_nonfinite_proposals_are_removed() -> None:
    rpn = make_rpn(min_size=5.0)
    output = output_of(rpn)
    output.objectness_logits[0][0, 0] = 9.0  # 4 x 4 after clipping
    output.objectness_logits[0][0, 9] = float("inf")
    (proposals,) = rpn.select(output, batch(), LIMITS)
    assert proposals.objectness_logits.isfinite().all()
    sides = proposals.boxes[:, 2:] - proposals.boxes[:, :2]
    assert sides.min() >= 5


def test_loss_by_hand() -> None:
    """One object exactly on an anchor: a positive with zero deltas has no box loss; logits 0 cost log 2 each."""
    rpn = make_rpn(samples_per_image=10)
    output = output_of(rpn, fill=0.0)
    target = Targets(torch.tensor([[8.0, 8, 16, 16]]), torch.tensor([0]))
    generator = torch.Generator().manual_seed(0)
    objectness, box = rpn.loss(output, [target], [generator]).values()
    assert objectness.item() == pytest.approx(0.6931472)
    assert box.item() == 0
    output.deltas[0][0, 3 * 8 + 3] = torch.tensor([0.0, 1.0, 0, 0])  # cell (3, 3) is centred at (12, 12)
    _, box = rpn.loss(output, [target], [generator]).values()
    assert box.item() == pytest.approx((1 - 1 / 18) / 10)  # smooth-L1 above beta = 1/9, over 10 samples
