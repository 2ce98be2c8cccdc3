"""The stations of an image are those that `predict` goes through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from maskrcnn.errors import UserError
from maskrcnn.inspection import Trace, trace_image
from maskrcnn.inspection.trace import NUM_CANDIDATES
from maskrcnn.model import Model
from maskrcnn.ops.boxes import box_iou
from maskrcnn.structures.masks import ByteArray

MakeModel = Callable[..., Model]


def test_the_result_is_the_prediction(make_model: MakeModel, image: ByteArray, trace: Trace) -> None:
    expected = make_model().predict(image, score_threshold=0.1)
    assert len(expected) > 2
    assert np.array_equal(trace.prediction.boxes, expected.boxes)
    assert np.array_equal(trace.prediction.scores, expected.scores)


def test_the_pyramid_without_its_padding(trace: Trace) -> None:
    assert trace.input_size == (128, 170), "the network sees 128 x 192"
    assert [level.name for level in trace.levels] == ["P2", "P3", "P4", "P5", "P6"]
    assert [level.stride for level in trace.levels] == [4, 8, 16, 32, 64]
    assert [tuple(level.features.shape) for level in trace.levels] == [
        (32, 32, 43), (32, 16, 22), (32, 8, 11), (32, 4, 6), (32, 2, 3),
    ]  # fmt: skip
    assert trace.num_anchors == 3 * (32 * 48 + 16 * 24 + 8 * 12 + 4 * 6 + 2 * 3)


def test_objectness_and_anchors_of_the_cell(make_model: MakeModel, image: ByteArray, trace: Trace) -> None:
    """The numbers of a cell against those of the RPN, found another way: by the anchors' centres."""
    network, size = make_model().network, (128, 192)
    batch = network.preprocess.prepare([torch.from_numpy(image).permute(2, 0, 1)])
    with torch.no_grad():
        output = network.rpn(network.backbone(batch.pixels), size)
    assert trace.region is not None
    x1, y1, x2, y2 = trace.region.box.tolist()
    for level, logits, anchors in zip(trace.levels, output.objectness_logits, output.anchors, strict=True):
        x, y = level.cell
        assert abs(x * level.stride - (x1 + x2) / 2) <= level.stride / 2 or x == -(-192 // level.stride) - 1
        assert abs(y * level.stride - (y1 + y2) / 2) <= level.stride / 2 or y == -(-128 // level.stride) - 1
        centres = (anchors[:, :2] + anchors[:, 2:]) / 2
        here = (centres - torch.tensor([x, y]) * level.stride).abs().amax(dim=1) < 1e-3
        torch.testing.assert_close(level.anchors, anchors[here])
        torch.testing.assert_close(level.scores, logits[0, here].sigmoid())
        if x < level.objectness.shape[1] and y < level.objectness.shape[0]:
            assert level.objectness[y, x] == level.scores.max()


def test_candidates_are_what_nms_chooses_from(trace: Trace) -> None:
    assert len(trace.candidates) == NUM_CANDIDATES
    kept = (trace.candidates[:, None] == trace.proposals[None]).all(dim=2).any(dim=1)
    assert 0 < kept.sum() < len(kept), "some are dropped"
    assert torch.equal(trace.candidates[0], trace.proposals[0]), "the best is always kept"
    overlaps = box_iou(trace.candidates[~kept], trace.candidates)
    better = torch.arange(len(kept))[None] < (~kept).nonzero()
    assert (overlaps * better).amax(dim=1).min() > 0.7, "each one dropped overlaps a better one"


def test_the_model_keeps_its_nms(make_model: MakeModel, image: ByteArray) -> None:
    model = make_model()
    before = model.network.rpn.nms_threshold
    trace_image(model, image, score_threshold=0.1)
    assert model.network.rpn.nms_threshold == before < 1


def test_levels_of_the_proposals(trace: Trace) -> None:
    sides = (trace.proposals[:, 2:] - trace.proposals[:, :2]).prod(dim=1).sqrt()
    assert trace.proposal_levels is not None
    assert trace.proposal_levels[sides < 111].unique().tolist() == [0]
    assert set(trace.proposal_levels[sides > 113].tolist()) <= {1}


def test_without_a_pyramid(make_model: MakeModel, image: ByteArray) -> None:
    trace = trace_image(make_model(one_level=True), image, score_threshold=0.1)
    (level,) = trace.levels
    assert (level.name, level.stride) == ("C4", 16) and level.anchors.shape == (9, 4)
    assert trace.region is not None and trace.region.level == 0


def test_an_rpn_alone_has_no_region_to_follow(make_model: MakeModel, image: ByteArray) -> None:
    trace = trace_image(make_model(box_head={"enabled": False}, mask_head={"enabled": False}), image)
    assert trace.region is None and trace.proposal_levels is None and len(trace.proposals) > 0
    assert trace.levels[0].cell == (round(170 / 2 / 4), round(128 / 2 / 4)), "the image's middle"


def test_models_and_numbers_that_cannot_be_followed(make_model: MakeModel, image: ByteArray) -> None:
    with pytest.raises(UserError, match=r"expected a model with an RPN.*rpn.enabled is false"):
        trace_image(make_model(rpn={"enabled": False}), image)
    found = len(make_model().predict(image, score_threshold=0.1))
    with pytest.raises(UserError, match=f"--roi: expected 1 to {found}, the objects found; got {found + 1}"):
        trace_image(make_model(), image, found + 1, score_threshold=0.1)
    with pytest.raises(UserError, match="expected 1, since no object was found; got 2"):
        trace_image(make_model(), image, 2, score_threshold=1.0)
