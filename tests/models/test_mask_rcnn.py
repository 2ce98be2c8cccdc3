from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.config import BackboneConfig
from maskrcnn.models.losses import Losses
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.presets import tiny
from maskrcnn.structures import PackedMasks, Targets

SIZE = (96, 128)


def tiny_model(num_classes: int = 3, **sections: Any) -> MaskRCNN:
    torch.manual_seed(0)
    config = tiny()
    config = replace(config, input=replace(config.input, min_size=96, max_size=160), **sections)
    return build_model(config, num_classes)


def some_targets() -> Targets:
    bitmaps = torch.zeros(3, *SIZE, dtype=torch.uint8)
    bitmaps[0, 10:40, 20:60] = 1
    bitmaps[1, 50:90, 70:120] = 1
    bitmaps[2, 5, 5] = 1  # one pixel
    boxes = torch.tensor([[20.0, 10, 60, 40], [70, 50, 120, 90], [5, 5, 6, 6]])
    return Targets(boxes, torch.tensor([0, 2, 1]), PackedMasks.from_bitmaps(bitmaps))


def images(count: int = 2) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(3, *SIZE) for _ in range(count)]


def loss(model: MaskRCNN, images: list[Tensor], targets: list[Targets], seed: int = 0) -> Losses:
    return model.loss(images, targets, generators=[torch.Generator().manual_seed(seed)] * len(images))


def test_total_is_the_sum_of_the_parts() -> None:
    losses = Losses({name: torch.tensor(float(value)) for name, value in zip("abcde", (1, 2, 4, 8, 16), strict=True)})
    assert losses.total().item() == 31


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_every_parameter_gets_a_gradient(class_agnostic: bool) -> None:
    config = tiny()
    model = tiny_model(
        box_head=replace(config.box_head, class_agnostic=class_agnostic),
        mask_head=replace(config.mask_head, class_agnostic=class_agnostic),
    ).train()
    loss(model, images(), [some_targets(), some_targets()]).total().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("kinds", ["one empty", "all empty", "crowd only"])
def test_images_without_objects_are_normal(kinds: str) -> None:
    empty = Targets.empty(SIZE)
    crowd = replace(empty, crowd_boxes=torch.tensor([[0.0, 0, 128, 96]]))
    targets = {
        "one empty": [some_targets(), empty],
        "all empty": [empty, empty],
        "crowd only": [crowd, crowd],
    }[kinds]
    model = tiny_model().train()
    losses = loss(model, images(), targets)
    losses.total().backward()
    assert losses.total().isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    if kinds != "one empty":
        assert losses["mask"] == losses["box"] == losses["rpn_box"] == 0


def test_loss_is_the_same_in_train_and_eval_mode_without_batch_statistics() -> None:
    model = tiny_model(backbone=BackboneConfig(name="resnet18", norm="gn"))
    batch = images(), [some_targets(), some_targets()]
    train = loss(model.train(), *batch)
    evaluation = loss(model.eval(), *batch)
    assert train.keys() == evaluation.keys() == {"objectness", "rpn_box", "classification", "box", "mask"}
    for name, value in train.items():
        torch.testing.assert_close(value, evaluation[name])


def test_predict_gives_detections_in_the_original_frame() -> None:
    model = tiny_model(box_head=replace(tiny().box_head, score_threshold=0.0, max_detections=7)).eval()
    originals = [torch.rand(3, 200, 300), torch.rand(3, 77, 50)]
    for found, image in zip(model.predict(originals), originals, strict=True):
        height, width = image.shape[1:]
        assert found.image_size == (height, width)
        assert 0 < len(found) <= 7
        assert found.boxes.min() >= 0
        assert (found.boxes.amax(0) <= torch.tensor([width, height, width, height]) + 1e-3).all()
        assert found.mask_probs.shape == (len(found), 28, 28)
        assert 0 <= found.mask_probs.min() <= found.mask_probs.max() <= 1
        assert torch.equal(found.scores, found.scores.sort(descending=True).values)
        assert found.labels.max() < 3


def test_a_batch_predicts_what_its_images_predict_alone() -> None:
    model = tiny_model(box_head=replace(tiny().box_head, score_threshold=0.0, max_detections=5)).eval()
    pair = images()
    for together, image in zip(model.predict(pair), pair, strict=True):
        (alone,) = model.predict([image])
        torch.testing.assert_close(together.boxes, alone.boxes, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(together.scores, alone.scores)


def test_bytes_mean_the_same_as_floats() -> None:
    model = tiny_model(box_head=replace(tiny().box_head, score_threshold=0.0, max_detections=5)).eval()
    pixels = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
    (a,), (b,) = model.predict([pixels]), model.predict([pixels.float() / 255])
    torch.testing.assert_close(a.boxes, b.boxes)


def test_without_mask_branch_it_is_faster_rcnn() -> None:
    model = tiny_model(mask_head=replace(tiny().mask_head, enabled=False))
    assert "mask" not in loss(model.train(), images(), [some_targets(), some_targets()])
    assert model.eval().predict(images(1))[0].mask_probs is None


def test_nothing_above_the_threshold_is_an_empty_result() -> None:
    model = tiny_model(box_head=replace(tiny().box_head, score_threshold=1.0)).eval()
    (found,) = model.predict(images(1))
    assert len(found) == 0 and found.boxes.shape == (0, 4) and found.mask_probs.shape == (0, 28, 28)


def test_wild_weights_do_not_crash_prediction() -> None:
    model = tiny_model().eval()
    with torch.no_grad():
        model.box_head.deltas.weight.fill_(1e30)
        model.rpn.head.deltas.weight.fill_(float("nan"))
    (found,) = model.predict(images(1))
    assert found.boxes.isfinite().all()


def test_forward_is_one_verb_or_the_other() -> None:
    model = tiny_model()
    assert isinstance(model(images(), [some_targets(), some_targets()]), Losses)
    assert len(model.eval()(images(1))) == 1


def test_every_verb_takes_a_padded_size() -> None:
    """The backbone sees it; the images are 96 x 128."""
    model, targets = tiny_model(), [some_targets(), some_targets()]
    seen: list[Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(images(), targets)
    model(images(), targets, padded=(128, 192))
    model.eval()(images(), padded=(128, 192))
    model.predict(images(), padded=(128, 192))
    assert [tuple(pixels.shape[2:]) for pixels in seen] == [(96, 128), *[(128, 192)] * 3]
    assert torch.equal(seen[1][:, :, :96, :128], seen[0]) and not seen[1][:, :, 96:].any()
    with pytest.raises(ValueError, match="padded: expected at least the height and width"):
        model.loss(images(), targets, padded=(64, 192))
