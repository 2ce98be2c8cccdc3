"""On a GPU the host waits once for a batch: for the number of detections. Sizes before that are fixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from maskrcnn.acceleration import for_prediction
from maskrcnn.build import build_model, build_model_without_memory
from maskrcnn.models import box_head, pooling, rpn
from maskrcnn.models.box_head import _candidates
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.ops.fixed_sizes import fixed_sizes
from maskrcnn.presets import tiny
from maskrcnn.structures import Proposals


@pytest.fixture
def as_on_a_gpu() -> Iterator[None]:
    """Fixed sizes on the CPU, too."""
    with fixed_sizes():
        yield


def small_model(**box_head: Any) -> MaskRCNN:
    torch.manual_seed(0)
    base = tiny()
    config = replace(
        base,
        input=replace(base.input, min_size=96, max_size=160),
        rpn=replace(base.rpn, post_nms_top_k_test=50),
        box_head=replace(base.box_head, **box_head),
    )
    return build_model(config, 3).eval()


@pytest.mark.parametrize("score_threshold", [0.0, 0.2, 0.9])
def test_the_same_is_found(request: pytest.FixtureRequest, score_threshold: float) -> None:
    """With images of unlike sizes and numbers of objects, also with none."""
    model = small_model(score_threshold=score_threshold, max_detections=20)
    images = [torch.rand(3, 96, 128), torch.zeros(3, 128, 96)]
    expected = model.predict(images)
    request.getfixturevalue("as_on_a_gpu")
    actual = model.predict(images)
    assert sum(map(len, expected)) == {0.0: 40, 0.2: sum(map(len, actual)), 0.9: 0}[score_threshold]
    for ours, theirs in zip(actual, expected, strict=True):
        assert torch.equal(ours.boxes, theirs.boxes) and torch.equal(ours.labels, theirs.labels)
        assert torch.equal(ours.scores, theirs.scores) and ours.image_size == theirs.image_size
        torch.testing.assert_close(ours.mask_probs, theirs.mask_probs, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_proposals_that_are_none_are_never_detected_nor_trained_on() -> None:
    """min_size leaves few proposals: the others' places stay, with boxes of no area."""
    model = small_model(score_threshold=0.0)
    assert model.rpn is not None
    model.rpn.min_size = 60.0
    batch = model.preprocess.prepare([torch.rand(3, 96, 128)])
    features = model.backbone(batch.pixels)
    (proposals,) = model.rpn.select(model.rpn(features, batch.pixels.shape[-2:]), batch, model.rpn.test_limits)
    there = proposals.objectness_logits > float("-inf")
    assert len(proposals) == 50 and 0 < there.sum() < 50 and not proposals.boxes[~there].any()
    assert len(proposals.without_padding()) == there.sum()
    (detections,) = model.predict([torch.rand(3, 96, 128)])
    assert len(detections) <= 3 * there.sum() and (detections.scores > 0).all()


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(("threshold", "most"), [(0.5, 3 * 2), (0.3, 3 * 3), (0.0, 3 * 4), (1.0, 3)])
def test_candidates_by_hand(threshold: float, most: int) -> None:
    probs = torch.tensor([[0.1, 0.4, 0.5, 0.0], [float("nan")] * 4, [0.0, 0.6, 0.0, 0.35]])
    row, label = _candidates(probs, threshold)
    assert len(row) == most
    expected = (probs > threshold).nonzero().tolist()
    assert [[r, k] for r, k in zip(row.tolist(), label.tolist(), strict=True) if k >= 0] == expected


class NothingIsMade(TorchFunctionMode):
    """On device "meta" no number can be read; this sees to it that none is made from the host's."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (torch.tensor, torch.as_tensor, torch.from_numpy, Tensor.new_tensor), func
        return func(*args, **(kwargs or {}))


class NothingIsSent(TorchDispatchMode):
    """Nor sent from a tensor of the host's."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
        assert {x.device.type for x in tensors} <= {"meta"}, f"{func} moves numbers between host and device"
        return result


def fixed_nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int) -> tuple[Tensor, Tensor]:
    """The sizes of `nms_padded`, whose kernels have a test of their own."""
    return labels[:, :limit], labels[:, 0]


def fixed_pool(operator: Any, features: Sequence[Tensor], boxes: Tensor, *others: Any) -> Tensor:
    """The sizes of `pool_levels`, likewise."""
    size = others[-1].output_size
    return boxes.new_empty((len(boxes), features[0].shape[1], size, size))


@pytest.fixture
def kernels_that_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rpn, "nms_padded", fixed_nms)
    monkeypatch.setattr(box_head, "nms_padded", fixed_nms)
    monkeypatch.setattr(pooling, "pool_levels", fixed_pool)
    yield


@pytest.mark.usefixtures("kernels_that_do_not_wait")
@pytest.mark.parametrize("prepared", [False, True])
def test_nothing_is_waited_for_between_the_pixels_and_the_number_of_detections(prepared: bool) -> None:
    model = build_model_without_memory(tiny(), 3).eval()
    model = (for_prediction(model, "meta") if prepared else model).to("meta")
    assert model.rpn is not None and model.box_head is not None

    def detect() -> None:
        assert model.rpn is not None and model.box_head is not None
        features = model.backbone(batch.pixels)
        regions = model.rpn.select(model.rpn(features, batch.pixels.shape[-2:]), batch, model.rpn.test_limits)
        assert all(isinstance(proposals, Proposals) for proposals in regions)
        class_logits, deltas = model.box_head.classify(model.roi_features(features), regions)
        probs = class_logits.softmax(1)[:, :-1].split([len(p) for p in regions])
        for own, image_deltas, proposals, size in zip(
            probs, deltas.split([len(p) for p in regions]), regions, batch.sizes, strict=True
        ):
            found, number = model.box_head._select_one(own, image_deltas, proposals, size, 0.05, 100)
            assert len(found) == 100 and number.shape == ()

    with torch.no_grad():
        batch = model.preprocess.prepare([torch.rand(3, 96, 128), torch.rand(3, 96, 128)])
        detect()  # what is sent once and for all
        with NothingIsMade(), NothingIsSent():
            detect()
