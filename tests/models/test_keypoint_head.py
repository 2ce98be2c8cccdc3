from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.config import Config, KeypointHeadConfig
from maskrcnn.errors import UserError
from maskrcnn.models.keypoint_head import KeypointHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.sampling import SampledRoIs
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.presets import tiny
from maskrcnn.structures import PackedMasks, Targets

SIZE = (96, 128)
NUM_KEYPOINTS = 5


def config(*, masks: bool = True) -> Config:
    base = tiny()
    return replace(
        base,
        input=replace(base.input, min_size=96, max_size=160),
        mask_head=replace(base.mask_head, enabled=masks),
        keypoint_head=KeypointHeadConfig(enabled=True, num_convs=2, channels=16),
    )


def model(*, masks: bool = True) -> MaskRCNN:
    torch.manual_seed(0)
    return build_model(config(masks=masks), 2, NUM_KEYPOINTS)


def head(**options: Any) -> KeypointHead:
    torch.manual_seed(0)
    return KeypointHead(
        RoIPooler((4,), RoIAlignOptions(14)), 8, NUM_KEYPOINTS, **{"num_convs": 2, "channels": 16, **options}
    )


def targets(visibility: float = 2.0) -> Targets:
    """Two objects, of which the second has no labelled keypoint."""
    bitmaps = torch.zeros(2, *SIZE, dtype=torch.uint8)
    bitmaps[0, 10:40, 20:60] = 1
    bitmaps[1, 50:90, 70:120] = 1
    keypoints = torch.zeros(2, NUM_KEYPOINTS, 3)
    keypoints[0, :, 0] = torch.linspace(21, 59, NUM_KEYPOINTS)
    keypoints[0, :, 1] = 25
    keypoints[0, :3, 2] = visibility
    boxes = torch.tensor([[20.0, 10, 60, 40], [70, 50, 120, 90]])
    return Targets(boxes, torch.tensor([0, 1]), PackedMasks.from_bitmaps(bitmaps), keypoints=keypoints)


def rois(*boxes: list[float], gt_indices: list[int]) -> SampledRoIs:
    """Positives of label 0, and one background RoI."""
    indices = torch.tensor(gt_indices, dtype=torch.int64)
    labels = torch.cat([torch.zeros_like(indices), torch.tensor([2])])
    return SampledRoIs(torch.tensor([*boxes, [0.0, 0, 9, 9]]), labels, indices, targets().boxes[indices])


# --- the head alone ---------------------------------------------------------------------------------------------


def test_maps_are_four_times_as_large() -> None:
    assert head()(torch.rand(3, 8, 14, 14)).shape == (3, NUM_KEYPOINTS, 56, 56)
    assert head()(torch.rand(0, 8, 14, 14)).shape == (0, NUM_KEYPOINTS, 56, 56)


def test_layers_are_those_of_the_paper() -> None:
    layers = [layer for layer in KeypointHead(head().pooler, 256, 17).modules() if hasattr(layer, "kernel_size")]
    convs, upsample = layers[:-1], layers[-1]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convs] == [(256, 512, (3, 3))] + 7 * [
        (512, 512, (3, 3))
    ]
    assert (upsample.in_channels, upsample.out_channels, upsample.kernel_size, upsample.stride) == (
        512,
        17,
        (4, 4),
        (2, 2),
    )


def test_without_convolutions_the_deconvolution_reads_the_roi_features() -> None:
    assert head(num_convs=0)(torch.rand(1, 8, 14, 14)).shape == (1, NUM_KEYPOINTS, 56, 56)


def test_only_rois_with_a_labelled_keypoint_inside_are_chosen() -> None:
    sampled = rois(
        [20.0, 10, 60, 40],  # all three
        [70.0, 50, 120, 90],  # an object without any
        [35.0, 10, 60, 40],  # one of the three: x = 40
        [45.0, 10, 60, 40],  # only keypoints that are not labelled
        gt_indices=[0, 1, 0, 0],
    )
    (rows,) = head().select([sampled], [targets()])
    assert rows.tolist() == [0, 2]
    selected = sampled.take(rows)
    assert selected.boxes.tolist() == [[20, 10, 60, 40], [35, 10, 60, 40]]
    assert selected.gt_indices.tolist() == [0, 0] and selected.labels.tolist() == [0, 0]
    assert selected.gt_boxes.tolist() == [[20, 10, 60, 40]] * 2 and selected.num_positives == 2


@pytest.mark.parametrize("kind", ["no keypoints in the data", "none labelled", "no positives"])
def test_nothing_to_learn_is_zero_with_gradients(kind: str) -> None:
    sampled = rois(gt_indices=[]) if kind == "no positives" else rois([20.0, 10, 60, 40], gt_indices=[0])
    target = targets(visibility=0)
    if kind == "no keypoints in the data":
        target = replace(target, keypoints=None)
    branch = head()
    (rows,) = branch.select([sampled], [target])
    assert len(rows) == 0
    loss = branch.loss_of(torch.rand(0, 8, 14, 14), [sampled.take(rows)], [target])
    loss.backward()
    assert loss.item() == 0 and all(p.grad is not None and not p.grad.any() for p in branch.parameters())


def test_loss_reads_the_object_of_each_roi() -> None:
    """Maps that are certain of the right cells give no loss; of the cells of another RoI, much."""
    branch, target = head(), targets()
    selected = rois([20.0, 10, 60, 40], [10.0, 0, 66, 56], gt_indices=[0, 0]).take(torch.tensor([0, 1]))
    maps = torch.zeros(2, NUM_KEYPOINTS, 56, 56)
    for r, (x1, y1, x2, y2) in enumerate(selected.boxes.tolist()):
        for p, (x, y, _) in enumerate(targets().keypoints[0].tolist()):
            maps[r, p, int((y - y1) / (y2 - y1) * 56), int((x - x1) / (x2 - x1) * 56)] = 50
    branch.forward = lambda roi_features: roi_features
    assert branch.loss_of(maps, [selected], [target]).item() < 1e-6
    assert branch.loss_of(maps.flip(0), [selected], [target]).item() > 40


# --- in the model -----------------------------------------------------------------------------------------------


def images(count: int = 2) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(3, *SIZE) for _ in range(count)]


@pytest.mark.parametrize("masks", [True, False])
def test_every_parameter_gets_a_gradient(masks: bool) -> None:
    network = model(masks=masks).train()
    losses = network.loss(images(), [targets(), targets()], generators=[torch.Generator().manual_seed(0)] * 2)
    assert ("mask" in losses) == masks
    assert 4 < losses["keypoint"].item() < 60, "about log(56^2) = 8 and more for random weights"
    losses.total().backward()
    # A softmax over space does not see the last bias: its gradient is rounding alone.
    exempt = {"keypoint_head.upsample.bias"}
    without = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert without <= exempt


def test_batches_without_keypoints_train_the_rest() -> None:
    network = model().train()
    empty = Targets.empty(SIZE)
    for batch in ([empty, empty], [replace(targets(), keypoints=None), empty]):
        losses = network.loss(images(), batch, generators=[torch.Generator().manual_seed(0)] * 2)
        losses.total().backward()
        assert losses["keypoint"].item() == 0 and losses.total().isfinite()


def test_another_number_of_keypoints_is_one_clear_line() -> None:
    wrong = replace(targets(), keypoints=targets().keypoints[:, :3])
    with pytest.raises(UserError, match=r"expected 5 keypoints for each object.*got 3; build the model with num_keyp"):
        model().loss(images(), [targets(), wrong])


def test_predictions_have_keypoints_in_original_pixels() -> None:
    network = model().eval()
    large = [torch.nn.functional.interpolate(image[None], scale_factor=3.0)[0] for image in images(2)]
    found = network.predict(large, score_threshold=0.0, max_detections=7)
    for detections in found:
        assert len(detections) == 7 and detections.image_size == (288, 384)
        assert detections.keypoints is not None and detections.keypoints.shape == (7, NUM_KEYPOINTS, 3)
        x, y, score = detections.keypoints.unbind(dim=2)
        x1, y1, x2, y2 = detections.boxes[:, :, None].unbind(dim=1)
        margin = 3.0  # a box below one pixel is searched as one pixel, three original ones
        assert ((x >= x1) & (x <= x2 + margin) & (y >= y1) & (y <= y2 + margin)).all()
        assert ((score > 0) & (score < 1.5)).all()


def test_points_are_shifted_in_original_pixels() -> None:
    """Half a pixel of the image as it came, whatever the size it was shown to the network in."""
    network = model().eval()
    large = [torch.nn.functional.interpolate(images(1)[0][None], scale_factor=3.0)[0]]
    found, shifted = (
        network.predict(large, score_threshold=0.0, max_detections=7)[0].keypoints
        for network.keypoint_head.shift in (0.0, 0.5)
    )
    torch.testing.assert_close(shifted, found + torch.tensor([0.5, 0.5, 0.0]))


def test_images_without_detections_have_no_keypoints() -> None:
    found = model().eval().predict(images(1), score_threshold=1.0)[0]
    assert found.keypoints is not None and found.keypoints.shape == (0, NUM_KEYPOINTS, 3)


def test_predictions_do_not_depend_on_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    network = model().eval()
    whole = network.predict(images(1), score_threshold=0.0, max_detections=7)[0]
    monkeypatch.setattr("maskrcnn.models.chunks.MAX_BYTES", 1)  # one RoI at a time
    pieces = network.predict(images(1), score_threshold=0.0, max_detections=7)[0]
    torch.testing.assert_close(pieces.keypoints, whole.keypoints, atol=1e-3, rtol=1e-4)


def test_number_of_keypoints() -> None:
    assert build_model(config(), 1).keypoint_head.num_keypoints == 17
    assert model().keypoint_head.num_keypoints == NUM_KEYPOINTS
    assert "keypoint_head" not in build_model(replace(config(), keypoint_head=KeypointHeadConfig()), 1).roi_branches
