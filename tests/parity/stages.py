"""How far our model is from another library's, stage by stage: what the tests check and docs/parity.md lists.

Each stage gets the library's own output of the stage before, so that a difference shows where it arises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.masks.paste import paste_rles
from maskrcnn.masks.rle import decode_rle
from maskrcnn.models.rpn import RPNOutput
from maskrcnn.structures import Detections
from parity.golden import LEVELS, Golden
from parity.training import has_live_norms, in_our_names, relative, rounding_noise, training_step

IMAGES = range(2)


@dataclass(frozen=True)
class Difference:
    """One output: the largest absolute difference from the library's, and how much it may be.

    Attributes:
        output: its name in the golden file.
        measured: in the output's own unit; infinite where shapes, order or labels differ.
        allowed: see `Golden.tolerance`.
    """

    output: str
    measured: float
    allowed: float


def compare(golden: Golden, name: str, ours: Tensor, theirs: Tensor) -> Difference:
    allowed = golden.tolerance(name) + 1e-5 * float(theirs.abs().max()) if theirs.numel() else 0.0
    if ours.shape != theirs.shape:
        return Difference(name, float("inf"), allowed)
    return Difference(name, float((ours - theirs).abs().max()) if theirs.numel() else 0.0, allowed)


def network_input(golden: Golden) -> Iterator[Difference]:
    """torchvision's from the photograph, detectron2's from the resized bytes (Pillow's rounding is not ours)."""
    batch, name = golden.batch(), "image" if golden.of_torchvision else "image_resized"
    images = [golden.tensors[f"{name}.{i}"].permute(2, 0, 1) for i in IMAGES]
    prepare = golden.model.preprocess.prepare if golden.of_torchvision else golden.model.preprocess.batch
    ours = prepare(images)
    limit = 2e-5 * float(batch.pixels.abs().max())
    same_shape = ours.sizes == batch.sizes and ours.pixels.shape == batch.pixels.shape
    yield Difference("input", float((ours.pixels - batch.pixels).abs().max()) if same_shape else float("inf"), limit)


def features(golden: Golden) -> Iterator[Difference]:
    levels = golden.model.backbone(golden.batch().pixels)
    for level, theirs in golden.named("features").items():
        yield compare(golden, f"features.{level}", levels[LEVELS[level]], theirs)


def _rpn_output(golden: Golden) -> RPNOutput:
    batch = golden.batch()
    assert golden.model.rpn is not None
    output: RPNOutput = golden.model.rpn(golden.model.backbone(batch.pixels), batch.pixels.shape[-2:])
    return output


def rpn(golden: Golden) -> Iterator[Difference]:
    """Anchors, objectness and deltas."""
    output = _rpn_output(golden)
    assert golden.model.rpn is not None
    for level, theirs in golden.named("anchors.cell").items():
        ours = golden.model.rpn.anchors.cells[LEVELS[level]]
        yield compare(golden, f"anchors.cell.{level}", ours, theirs)
    for level, theirs in golden.named("rpn.objectness_logits").items():
        ours = output.objectness_logits[LEVELS[level]]
        yield compare(golden, f"rpn.objectness_logits.{level}", ours, theirs.permute(0, 2, 3, 1).flatten(1))
    for level, theirs in golden.named("rpn.anchor_deltas").items():
        theirs = theirs.permute(0, 2, 3, 1).reshape(len(theirs), -1, 4)
        yield compare(golden, f"rpn.anchor_deltas.{level}", output.deltas[LEVELS[level]], theirs)


def proposals(golden: Golden) -> Iterator[Difference]:
    """Boxes and scores, in the library's order."""
    assert golden.model.rpn is not None
    ours = golden.model.rpn.select(_rpn_output(golden), golden.batch(), golden.model.rpn.test_limits)
    for i, found in enumerate(ours):
        yield compare(golden, f"proposals.{i}.boxes", found.boxes, golden.tensors[f"proposals.{i}.boxes"])
        name = f"proposals.{i}.{'scores' if golden.of_torchvision else 'objectness_logits'}"
        scores = found.objectness_logits.sigmoid() if golden.of_torchvision else found.objectness_logits
        yield compare(golden, name, scores, golden.tensors[name])


def box_head(golden: Golden) -> Iterator[Difference]:
    """Class logits and box deltas of the library's proposals."""
    model = golden.model
    assert model.box_head is not None
    class_logits, deltas = model.box_head.classify(
        model.roi_features(model.backbone(golden.batch().pixels)), golden.proposals()
    )
    yield compare(golden, "box.class_logits", class_logits, golden.class_logits())
    yield compare(golden, "box.deltas", deltas, golden.deltas())


def detections(golden: Golden) -> Iterator[Difference]:
    """Boxes, scores and labels from the library's logits, in its order, in both frames."""
    assert golden.model.box_head is not None
    ours = golden.model.box_head.select(golden.class_logits(), golden.deltas(), golden.proposals(), golden.batch())
    yield from _found(golden, ours)
    for i, restored in enumerate(golden.model.preprocess.to_original(ours, golden.batch())):
        name = f"detections.{i}.boxes_original"
        yield compare(golden, name, restored.boxes, golden.tensors[name])


def _found(golden: Golden, ours: list[Detections]) -> Iterator[Difference]:
    for i, found in enumerate(ours):
        prefix = f"detections.{i}"
        same = found.labels.tolist() == golden.labels(prefix).tolist()
        yield Difference(f"{prefix}.labels", 0.0 if same else float("inf"), 0.0)
        yield compare(golden, f"{prefix}.boxes_input", found.boxes, golden.tensors[f"{prefix}.boxes_input"])
        yield compare(golden, f"{prefix}.scores", found.scores, golden.tensors[f"{prefix}.scores"])


def _theirs(golden: Golden) -> list[Detections]:
    """The library's detections in the input frame."""
    return [
        Detections(
            golden.tensors[f"detections.{i}.boxes_input"],
            golden.tensors[f"detections.{i}.scores"],
            golden.labels(f"detections.{i}"),
            golden.tensors.get(f"detections.{i}.mask_probs"),
            golden.batch().sizes[i],
        )
        for i in IMAGES
    ]


def masks(golden: Golden) -> Iterator[Difference]:
    """Mask probabilities of the library's detections; pixels that differ in all pasted masks together."""
    model = golden.model
    if "mask_head" not in model.roi_branches:
        return
    theirs = _theirs(golden)
    maps = model.backbone(golden.batch().pixels)
    ours = model.roi_branches["mask_head"].predict(model.roi_features(maps), theirs)
    different = 0
    for i in IMAGES:
        name = f"detections.{i}.mask_probs"
        yield compare(golden, name, ours[i].mask_probs, golden.tensors[name])
        boxes, size = golden.tensors[f"detections.{i}.boxes_original"], golden.batch().original_sizes[i]
        pasted = paste_rles(golden.tensors[name].numpy(), boxes.numpy(), size, rule=golden.config.mask_head.paste)
        for rle, bitmap in zip(pasted, golden.case.rle(i), strict=True):
            different += int((decode_rle(rle) != bitmap).sum())
    yield Difference("pasted masks, pixels", different, 12)


def keypoints(golden: Golden) -> Iterator[Difference]:
    """Heat maps, and points in the original frame with their scores, of the library's detections."""
    model = golden.model
    if "keypoint_head" not in model.roi_branches:
        return
    maps, theirs, head = model.backbone(golden.batch().pixels), _theirs(golden), model.roi_branches["keypoint_head"]
    found = head.predict(model.roi_features(maps), theirs)
    for i, restored in enumerate(model.preprocess.to_original(found, golden.batch())):
        own = model.roi_features([level[i : i + 1] for level in maps])
        heatmaps = head(own.of_boxes(head.pooler, [theirs[i].boxes[:2]]))
        name = f"detections.{i}.keypoint_heatmaps_first2"
        yield compare(golden, name, heatmaps, golden.tensors[name])
        name = f"detections.{i}.keypoints_original"
        assert restored.keypoints is not None
        yield compare(golden, name, restored.keypoints[..., :2], golden.tensors[name][..., :2])
        peaks = f"detections.{i}.keypoint_logits_at_peak"  # torchvision's score; detectron2's is the third column
        scores = golden.tensors[peaks] if golden.of_torchvision else golden.tensors[name][..., 2]
        yield compare(golden, peaks if golden.of_torchvision else name, restored.keypoints[..., 2], scores)


def whole(golden: Golden) -> Iterator[Difference]:
    """All stages in one: from the network's input to detections."""
    model, batch = golden.model, golden.batch()
    assert model.rpn is not None and model.box_head is not None
    maps = model.backbone(batch.pixels)
    regions = model.rpn.select(model.rpn(maps, batch.pixels.shape[-2:]), batch, model.rpn.test_limits)
    ours = model.box_head.predict(model.roi_features(maps), regions, batch)
    yield from _found(golden, ours)


LOSSES = {
    "objectness": ("loss_rpn_cls", "loss_objectness"),
    "rpn_box": ("loss_rpn_loc", "loss_rpn_box_reg"),
    "classification": ("loss_cls", "loss_classifier"),
    "box": ("loss_box_reg",),
    "mask": ("loss_mask",),
    "keypoint": ("loss_keypoint",),
}
"""Ours, and what the libraries call them."""

LOSS_TOLERANCE, GRADIENT_TOLERANCE, MOST_NOISE = 1e-5, 1e-4, 5e-3
AS_TRAINED = 5e-2
"""What 50 layers make of a variance that is off by 2e-5."""
ZERO_GRADIENT = "keypoint_head.upsample.bias"
"""A softmax over the places does not change when all of them are raised: what libraries get here is rounding noise."""


def losses(golden: Golden) -> Iterator[Difference]:
    """Relative differences of the losses of the step that uses every anchor and RoI, so that nothing is random."""
    recorded = golden.meta["train"]["all"]["losses"]
    for name, value in training_step(golden).losses.items():
        theirs = next(recorded[n] for n in LOSSES[name] if n in recorded)
        yield Difference(f"train.{name}", abs(value - theirs) / abs(theirs), LOSS_TOLERANCE)


def gradients(golden: Golden) -> Iterator[Difference]:
    """Relative differences of the same step's gradients: the norm of every one, and those that are stored in full.

    A unit close to zero is on or off as rounding will have it, so many gradients are not known to 1e-4 in any library.
    """
    ours, noisy = training_step(golden).gradients, rounding_noise(golden)
    theirs = in_our_names(golden, golden.meta["sensitivity"]["train_grad_norm_relative_above_1e-3"])
    for name, norm in in_our_names(golden, golden.meta["train"]["all"]["grad_norms"]).items():
        own = ours[name].norm()
        measured = relative(own, norm)
        noise = max(float(theirs.get(name, 0.0)), *(relative(g[name].norm(), own) for g in noisy))
        if name == ZERO_GRADIENT:
            measured, noise = max(float(own), float(norm)), 0.0
        yield Difference(f"train.grad_norm: {name}", measured, _gradient_tolerance(noise))
    for name, gradient in in_our_names(golden, golden.named("train.all.grad")).items():
        if name != ZERO_GRADIENT:
            noise = max(relative(g[name], ours[name]) for g in noisy)
            yield Difference(f"train.grad: {name}", relative(ours[name], gradient), _gradient_tolerance(noise))


def _gradient_tolerance(noise: float) -> float:
    return GRADIENT_TOLERANCE + min(2 * noise, MOST_NOISE)


def gradients_as_trained(golden: Golden) -> Iterator[Difference]:
    """Of models whose norms take statistics: the same step with these in the memory that training has, channels-last.

    PyTorch's CPU then sums them up in float32, which is off by 2e-5 of a variance; the libraries usually run, and were
    recorded, with contiguous memory, where it does so in double.
    """
    if not has_live_norms(golden):
        return
    ours = training_step(golden, as_trained=True).gradients
    for name, norm in in_our_names(golden, golden.meta["train"]["all"]["grad_norms"]).items():
        if name != ZERO_GRADIENT:
            yield Difference(f"train.as_trained.grad_norm: {name}", relative(ours[name].norm(), norm), AS_TRAINED)
    for name, gradient in in_our_names(golden, golden.named("train.all.grad")).items():
        if name != ZERO_GRADIENT:
            yield Difference(f"train.as_trained.grad: {name}", relative(ours[name], gradient), AS_TRAINED)


def statistics(golden: Golden) -> Iterator[Difference]:
    """Relative differences of batch norms' running statistics after the same step."""
    for name, theirs in in_our_names(golden, golden.named("train.all.buffer_after")).items():
        yield Difference(f"train.buffer_after: {name}", relative(training_step(golden).buffers[name], theirs), 1e-5)


STAGES: dict[str, Callable[[Golden], Iterator[Difference]]] = {
    "input": network_input,
    "features": features,
    "RPN outputs": rpn,
    "proposals": proposals,
    "box head": box_head,
    "detections": detections,
    "masks": masks,
    "keypoints": keypoints,
    "from input to detections": whole,
    "training losses": losses,
    "gradients": gradients,
    "gradients as trained": gradients_as_trained,
    "running statistics": statistics,
}


def differences(golden: Golden, stage: str) -> list[Difference]:
    """All outputs of a stage."""
    with torch.no_grad():
        return list(STAGES[stage](golden))
