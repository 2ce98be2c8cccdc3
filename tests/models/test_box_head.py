from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.models.box_head import BoxHead, BoxTrunk
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.sampling import RoISampler, SampledRoIs
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.structures import ImageBatch, Proposals


def make_head(num_classes: int = 2, **settings: Any) -> BoxHead:
    pooler = RoIPooler((4,), RoIAlignOptions(2))
    return BoxHead(
        pooler, BoxTrunk(3, (2, 2), num_fcs=1, fc_channels=4), num_classes, RoISampler(num_classes), **settings
    )


def logits_of(probs: list[list[float]]) -> Tensor:
    return torch.tensor(probs).log()


BATCH = ImageBatch.from_images([torch.zeros(3, 50, 50)], [(50, 50)])
PROPOSALS = [
    Proposals(torch.tensor([[0.0, 0, 20, 20], [1, 0, 21, 20], [30, 30, 40, 40]]), torch.zeros(3)),
]


def test_selection_by_hand() -> None:
    head = make_head(score_threshold=0.15)
    class_logits = logits_of([[0.6, 0.2, 0.2], [0.7, 0.1, 0.2], [0.05, 0.05, 0.9]])
    (found,) = head.select(class_logits, torch.zeros(3, 2, 4), PROPOSALS, BATCH)
    # row 0, class 0 is suppressed by row 1; row 0, class 1 is another class; row 2 is background
    torch.testing.assert_close(found.scores, torch.tensor([0.7, 0.2]))
    assert found.labels.tolist() == [0, 1]
    assert found.boxes.tolist() == [[1, 0, 21, 20], [0, 0, 20, 20]]


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_each_class_has_its_own_deltas(class_agnostic: bool) -> None:
    head = make_head(class_agnostic=class_agnostic)
    deltas = torch.zeros(3, head.num_box_classes, 4)
    deltas[2, -1, 0] = 1.0  # 1 / 10 of the width to the right
    class_logits = logits_of([[0.01, 0.01, 0.98], [0.01, 0.01, 0.98], [0.5, 0.4, 0.1]])
    (found,) = head.select(class_logits, deltas, PROPOSALS, BATCH)
    by_label = dict(zip(found.labels.tolist(), found.boxes.tolist(), strict=True))
    assert by_label[1] == [31, 30, 41, 40]
    assert by_label[0] == ([31, 30, 41, 40] if class_agnostic else [30, 30, 40, 40])


def test_the_best_are_kept_when_there_are_too_many() -> None:
    head = make_head(max_detections=1)
    class_logits = logits_of([[0.6, 0.2, 0.2], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]])
    (found,) = head.select(class_logits, torch.zeros(3, 2, 4), PROPOSALS, BATCH)
    assert found.boxes.tolist() == [[30, 30, 40, 40]]


def test_loss_by_hand() -> None:
    head = make_head(smooth_l1_beta=0.0)
    rois = SampledRoIs(
        boxes=PROPOSALS[0].boxes,
        labels=torch.tensor([1, 2, 2]),  # one positive of class 1, two background
        gt_indices=torch.tensor([0]),
        gt_boxes=torch.tensor([[2.0, 0, 22, 20]]),  # 0.1 of the width to the right: delta 1
    )
    deltas = torch.full((3, 2, 4), 7.0)  # class 0 and the negatives must not matter
    deltas[0, 1] = torch.tensor([0.0, 0, 0, 0.5])
    classification, box = head.loss_of(torch.zeros(3, 3), deltas, [rois]).values()
    assert classification.item() == pytest.approx(math.log(3))
    assert box.item() == pytest.approx((1 + 0.5) / 3)


def test_trunk_of_convolutions_then_fully_connected() -> None:
    trunk = BoxTrunk(3, (7, 7), num_convs=2, conv_channels=8, num_fcs=1, fc_channels=16, norm="gn")
    assert trunk(torch.rand(5, 3, 7, 7)).shape == (5, 16)
    assert trunk(torch.rand(0, 3, 7, 7)).shape == (0, 16)
