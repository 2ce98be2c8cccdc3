"""One RoI: what is shown of it is what the operators and the heads do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from maskrcnn.inspection import Trace, trace_image
from maskrcnn.inspection.region import cut_out, sample_points
from maskrcnn.model import Model
from maskrcnn.ops.roi_align import roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.ops.roi_pool import roi_pool
from maskrcnn.structures.masks import ByteArray

MakeModel = Callable[..., Model]

BOX = torch.tensor([13.3, 9.7, 52.1, 44.8])
INDEX = torch.tensor([0])


def positions(height: int, width: int, stride: int, centre: float) -> torch.Tensor:
    """(1, 2, h, w) a map whose values are the x and y of its cells' centres in pixels."""
    x = ((torch.arange(width) + centre) * stride).expand(height, width)
    y = ((torch.arange(height) + centre) * stride)[:, None].expand(height, width)
    return torch.stack([x, y])[None]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
def test_points_lie_where_roi_align_samples(sampling_ratio: int, aligned: bool) -> None:
    """RoIAlign of a map of positions gives the mean position of each bin's samples."""
    options = RoIAlignOptions(3, 1 / 4, sampling_ratio, aligned)
    expected = roi_align(positions(16, 20, 4, 0.5 if aligned else 0.0), BOX[None], INDEX, options)[0]
    points = sample_points(BOX, 4, options)
    assert points.shape == (3, 3, (sampling_ratio or 4) * (sampling_ratio or 3), 2), "13 / 4 cells, 12 / 4 cells"
    torch.testing.assert_close(points.mean(dim=2).permute(2, 0, 1), expected, atol=1e-3, rtol=0)


def test_tiny_boxes_as_roi_align_takes_them() -> None:
    box = torch.tensor([20.0, 20.0, 21.0, 21.0])
    assert sample_points(box, 4, RoIAlignOptions(1, 1 / 4, 1, aligned=False)).flatten().tolist() == [22, 22]
    assert sample_points(box, 4, RoIAlignOptions(1, 1 / 4, 1, aligned=True)).flatten().tolist() == [20.5, 20.5]


def test_bins_are_the_cells_that_roi_pool_reads() -> None:
    """Of a map of positions RoIPool gives the last cell of each bin."""
    cut = cut_out(positions(16, 20, 4, 0.5), BOX, 4, RoIAlignOptions(3))
    last = roi_pool(positions(16, 20, 4, 0.5), BOX[None], INDEX, RoIAlignOptions(3, 1 / 4))[0].permute(1, 2, 0)
    bins = cut.pooling.bins
    torch.testing.assert_close(bins[..., 2:].float(), last + 2)
    assert cut.pooling.box.tolist() == [12, 8, 56, 48], "cells 3 to 13 and 2 to 11"
    assert bins[0, 0].tolist() == [12, 8, 28, 24] and bins[0, 1].tolist() == [24, 8, 44, 24], "they overlap"
    floor = cut.poolings["floor"]
    assert floor.box.tolist() == [12, 8, 48, 40], "9.7 and 8.775 cells, cut off"
    assert floor.bins[0, 0].tolist() == [12, 8, 24, 16] and floor.bins[2, 2].tolist() == [36, 24, 48, 32], "3 x 2 cells"


def test_bins_that_are_not_square() -> None:
    options = RoIAlignOptions((2, 3), rounding="floor")
    cut = cut_out(positions(16, 20, 4, 0.5), BOX, 4, options)
    assert cut.points.shape == (2, 3, 4, 2) and cut.pooling.bins.shape == (2, 3, 4) and cut.aligned.shape == (2, 3)
    expected = roi_align(positions(16, 20, 4, 0.5), BOX[None], INDEX, RoIAlignOptions((2, 3), 1 / 4))[0]
    torch.testing.assert_close(cut.points.mean(dim=2).permute(2, 0, 1), expected, atol=1e-3, rtol=0)
    last = roi_pool(positions(16, 20, 4, 0.5), BOX[None], INDEX, RoIAlignOptions((2, 3), 1 / 4, rounding="floor"))
    torch.testing.assert_close(cut.pooling.bins[..., 2:].float(), last[0].permute(1, 2, 0) + 2)


def test_features_are_the_operators(trace: Trace) -> None:
    region = trace.region
    assert region is not None
    feature, options = trace.levels[region.level].features[None], RoIAlignOptions(7, 1 / region.cutting.stride)
    inside = region.box.clone()
    torch.testing.assert_close(region.cutting.aligned, roi_align(feature, inside[None], INDEX, options)[0].norm(dim=0))


def test_the_object_and_where_it_comes_from(make_model: MakeModel, image: ByteArray) -> None:
    """Each object's proposal, class, score, box and mask, against what the prediction says."""
    model = make_model()
    prediction = model.predict(image, score_threshold=0.1)
    scale = np.array([170 / 120, 128 / 90] * 2, np.float32)
    for number in range(1, min(len(prediction), 5) + 1):
        region = trace_image(model, image, number, score_threshold=0.1).region
        assert region is not None and region.number == number
        assert region.label == prediction.labels[number - 1]
        assert region.score == pytest.approx(float(prediction.scores[number - 1]), abs=1e-5)
        torch.testing.assert_close(region.refined.numpy(), prediction.boxes[number - 1] * scale, atol=1e-3, rtol=0)
        assert prediction.mask_probs is not None and region.mask_probs is not None
        assert region.mask_probs.shape == (3, 28, 28) and region.mask == region.label
        mask = region.mask_probs[region.mask].numpy()
        torch.testing.assert_close(mask, prediction.mask_probs[number - 1], atol=1e-4, rtol=0)


def test_without_objects_the_likeliest_pair_is_followed(make_model: MakeModel, image: ByteArray) -> None:
    trace = trace_image(make_model(), image, score_threshold=1.0)
    assert len(trace.prediction) == 0 and trace.region is not None and trace.region.number is None
    (best,) = make_model().predict(image, score_threshold=0.01, max_detections=1).scores.tolist()
    assert trace.region.score == pytest.approx(best, abs=1e-5)


def test_masks_of_other_kinds(make_model: MakeModel, image: ByteArray) -> None:
    competing = trace_image(make_model(mask_head={"loss": "softmax"}), image, score_threshold=0.1).region
    assert competing is not None and competing.mask_probs is not None
    torch.testing.assert_close(competing.mask_probs.sum(dim=0), torch.ones(28, 28))
    agnostic = trace_image(make_model(mask_head={"class_agnostic": True}), image, score_threshold=0.1).region
    assert agnostic is not None and agnostic.mask_probs is not None
    assert len(agnostic.mask_probs) == 1 and agnostic.mask == 0
    without = trace_image(make_model(mask_head={"enabled": False}), image, score_threshold=0.1).region
    assert without is not None and without.mask_probs is None
    c4 = trace_image(make_model(one_level=True), image, score_threshold=0.1).region
    assert c4 is not None and c4.mask_probs is not None and c4.mask_probs.shape == (3, 14, 14)
