from __future__ import annotations

import pytest
import torch

from maskrcnn.models import matching
from maskrcnn.models.matching import IGNORED, NEGATIVE, POSITIVE, match, sample
from maskrcnn.structures import Targets

OBJECTS = Targets(torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [100, 100, 104, 104]]), torch.tensor([0, 1, 0]))
BOXES = torch.tensor(
    [
        [0.0, 0, 10, 10],  # IoU 1 with object 0
        [20, 0, 30, 5],  # 0.5 with object 1: between the thresholds
        [20, 0, 30, 6],  # 0.6 with object 1: its best
        [50, 50, 60, 60],  # nothing
        [0, 0, 10, 4],  # 0.4 with object 0
    ]
)
THRESHOLDS = {"positive_iou": 0.7, "negative_iou": 0.3}


def test_thresholds_and_best_boxes() -> None:
    plain = match(BOXES, OBJECTS, **THRESHOLDS)
    assert plain.kinds.tolist() == [POSITIVE, IGNORED, IGNORED, NEGATIVE, IGNORED]
    best = match(BOXES, OBJECTS, **THRESHOLDS, keep_best=True)
    assert best.kinds.tolist() == [POSITIVE, IGNORED, POSITIVE, NEGATIVE, IGNORED]
    assert best.indices[[0, 1, 2, 4]].tolist() == [0, 1, 1, 0]


def test_an_object_that_nothing_overlaps_makes_nothing_positive() -> None:
    lonely = Targets(OBJECTS.boxes[2:], OBJECTS.labels[2:])
    assert (match(BOXES, lonely, **THRESHOLDS, keep_best=True).kinds == NEGATIVE).all()


def test_no_objects_and_no_boxes() -> None:
    nothing = Targets.empty((64, 64))
    assert (match(BOXES, nothing, **THRESHOLDS, keep_best=True).kinds == NEGATIVE).all()
    assert match(torch.zeros(0, 4), OBJECTS, **THRESHOLDS, keep_best=True).kinds.shape == (0,)


def test_negatives_inside_a_crowd_are_ignored() -> None:
    crowd = Targets(OBJECTS.boxes, OBJECTS.labels, crowd_boxes=torch.tensor([[45.0, 45, 70, 70]]))
    kinds = match(BOXES, crowd, **THRESHOLDS, crowd_overlap=0.7).kinds
    assert kinds.tolist() == [POSITIVE, IGNORED, IGNORED, IGNORED, IGNORED]


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch, generator: torch.Generator) -> None:
    corner = torch.rand(300, 2, generator=generator) * 50
    boxes = torch.cat([corner, corner + 5 + torch.rand(300, 2, generator=generator) * 20], dim=1)
    objects = Targets(boxes[:17] + 1, torch.zeros(17, dtype=torch.int64))
    whole = match(boxes, objects, **THRESHOLDS, keep_best=True)
    monkeypatch.setattr(matching, "_IOU_ELEMENTS", 600)  # two objects at a time
    pieces = match(boxes, objects, **THRESHOLDS, keep_best=True)
    assert torch.equal(whole.kinds, pieces.kinds) and torch.equal(whole.indices, pieces.indices)


def test_sampling_keeps_the_ratio_and_fills_with_negatives(generator: torch.Generator) -> None:
    kinds = torch.tensor([POSITIVE] * 50 + [NEGATIVE] * 500 + [IGNORED] * 50)
    positive, negative = sample(kinds, 100, 0.25, generator)
    assert (len(positive), len(negative)) == (25, 75)
    assert (kinds[positive] == POSITIVE).all() and (kinds[negative] == NEGATIVE).all()
    assert len(positive.unique()) == 25 and len(negative.unique()) == 75
    positive, negative = sample(kinds[45:], 100, 0.5, generator)
    assert (len(positive), len(negative)) == (5, 95)


def test_sampling_depends_on_the_generator_alone() -> None:
    kinds = torch.tensor([POSITIVE] * 50 + [NEGATIVE] * 50)
    draws = []
    for seed in (1, 1, 2):
        torch.rand(3)  # the global state must not matter
        draws.append(sample(kinds, 40, 0.5, torch.Generator().manual_seed(seed))[0].tolist())
    assert draws[0] == draws[1] != draws[2]
