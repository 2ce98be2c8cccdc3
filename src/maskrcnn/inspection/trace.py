"""The computation behind the page: what an image becomes at each step through the network.

The result is that of `Model.predict`; what lies before it is read off a second pass through the network's parts. All
boxes are in the `input` frame, but for those of the result.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.inspection.region import Region, Scored, follow_region
from maskrcnn.model import Model
from maskrcnn.models.box_head import BoxHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.rpn import RPN, RPNOutput
from maskrcnn.ops.boxes import clip_boxes, decode_boxes
from maskrcnn.prediction import Prediction
from maskrcnn.sources import Source, read_source
from maskrcnn.structures import Detections, ImageBatch, Proposals, Size

NUM_CANDIDATES = 100
"""How many boxes before NMS are shown."""


@dataclass(frozen=True)
class Level:
    """One feature map, and what the RPN sees in it.

    Attributes:
        name: "P2", or "C4" where there is no pyramid.
        stride: input pixels per cell.
        features: (C, h, w), without the cells of the padding.
        objectness: (h, w) the largest probability among a cell's anchors.
        cell: (x, y) the cell that the page looks at.
        anchors: (A, 4) the anchors of that cell.
        scores: (A,) their objectness probabilities.
        boxes: (A, 4) what their deltas make of them.
    """

    name: str
    stride: int
    features: Tensor
    objectness: Tensor
    cell: tuple[int, int]
    anchors: Tensor
    scores: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Trace:
    """One image on its way through the network.

    Attributes:
        model: the network.
        input_size: (height, width) after resizing.
        levels: the feature maps, finest first.
        num_anchors: of all levels.
        candidates: (C, 4) the best boxes before NMS, at most `NUM_CANDIDATES`, best first.
        proposals: (P, 4) the boxes after it.
        proposal_levels: (P,) the map that each proposal is read from; None without heads.
        region: the RoI that the page follows; None without proposals or without heads.
        prediction: the result, in the `original` frame.
    """

    model: Model
    input_size: Size
    levels: tuple[Level, ...]
    num_anchors: int
    candidates: Tensor
    proposals: Tensor
    proposal_levels: Tensor | None
    region: Region | None
    prediction: Prediction


@torch.inference_mode()
def trace_image(model: Model, source: Source, number: int = 1, score_threshold: float | None = None) -> Trace:
    """Send one image through the network and keep what it becomes.

    Args:
        model: a model with an RPN.
        source: the image, as for `Model.predict`.
        number: which of the objects found to follow, 1 for the best; where none is found, 1 is the best region.
        score_threshold: objects score above this; None: the model's own.

    Raises:
        UserError: an image that cannot be read, a model without RPN, or a `number` above that of the objects.
    """
    network = model.network
    rpn = _require_rpn(network)
    prediction = model.predict(source, score_threshold)
    _require_object(number, len(prediction))
    batch = network.preprocess.prepare([read_source(source, model.channels).to(model.device)])
    features: Sequence[Tensor] = network.backbone(batch.pixels)
    output: RPNOutput = rpn(features, batch.pixels.shape[-2:])
    limits = replace(rpn.test_limits, post_nms_top_k=NUM_CANDIDATES)
    candidates = _without_nms(rpn).select(output, batch, limits)[0].without_padding()
    proposals = rpn.select(output, batch, rpn.test_limits)[0].without_padding()
    region, levels_read = None, None
    if network.box_head is not None:
        scored = _score(network, network.box_head, features, proposals, batch, prediction)
        region = follow_region(network, features, scored, number)
        levels_read = network.box_head.pooler.levels(scored.boxes)
    return Trace(
        model,
        batch.sizes[0],
        _levels(model, features, output, batch.sizes[0], _focus(region, batch.sizes[0])),
        sum(len(anchors) for anchors in output.anchors),
        candidates.boxes.cpu(),
        proposals.boxes.cpu(),
        levels_read,
        region,
        prediction,
    )


def _require_rpn(network: MaskRCNN) -> RPN:
    if network.rpn is None:
        raise UserError("inspect: expected a model with an RPN, got one without (rpn.enabled is false)")
    return network.rpn


def _require_object(number: int, count: int) -> None:
    if number > max(count, 1):
        found = f"1 to {count}, the objects found" if count else "1, since no object was found"
        raise UserError(f"--roi: expected {found}; got {number}; lower --score-threshold to find more")


def _without_nms(rpn: RPN) -> RPN:
    """The same RPN with a threshold that no overlap exceeds: it selects what NMS would choose from."""
    lenient = copy.copy(rpn)
    lenient.nms_threshold = 1.0
    return lenient


def _score(
    network: MaskRCNN,
    head: BoxHead,
    features: Sequence[Tensor],
    proposals: Proposals,
    batch: ImageBatch,
    prediction: Prediction,
) -> Scored:
    """The box branch on all proposals, beside what was found in the end."""
    class_logits, deltas = head(network.roi_layers(head.pooler(features, [proposals.boxes])))
    (boxes,) = network.preprocess.to_input([torch.from_numpy(prediction.boxes)], batch)
    scores, labels = torch.from_numpy(prediction.scores), torch.from_numpy(prediction.labels)
    found = Detections(boxes, scores, labels, None, batch.sizes[0])
    class_probs = class_logits.float().softmax(dim=1)
    return Scored(proposals.boxes.cpu(), class_probs.cpu(), deltas.float().cpu(), found)


def _focus(region: Region | None, size: Size) -> tuple[float, float]:
    """x, y of the region's centre, or of the image's."""
    if region is None:
        return size[1] / 2, size[0] / 2
    x1, y1, x2, y2 = region.box.tolist()
    return (x1 + x2) / 2, (y1 + y2) / 2


def _levels(
    model: Model, features: Sequence[Tensor], output: RPNOutput, size: Size, focus: tuple[float, float]
) -> tuple[Level, ...]:
    """Every map, each with the cell that lies next to the point `focus`."""
    strides: Sequence[int] = model.network.backbone.strides  # type: ignore[assignment]
    rows = zip(features, strides, output.objectness_logits, output.deltas, output.anchors, strict=True)
    return tuple(
        _level(_level_name(model, stride), stride, feature[0], (logits[0], deltas[0], anchors), size, focus)
        for feature, stride, logits, deltas, anchors in rows
    )


def _level(
    name: str,
    stride: int,
    feature: Tensor,
    rpn_output: tuple[Tensor, Tensor, Tensor],
    size: Size,
    focus: tuple[float, float],
) -> Level:
    """One map (C, h, w) with the logits (h w A,), deltas and anchors (h w A, 4) of its cells."""
    rows, columns = feature.shape[-2:]
    logits, deltas, anchors = (part.float().cpu() for part in rpn_output)
    scores = logits.sigmoid().view(rows, columns, -1)
    x, y = (min(round(at / stride), last - 1) for at, last in zip(focus, (columns, rows), strict=True))
    own_anchors, own_deltas = (part.view(rows, columns, -1, 4)[y, x] for part in (anchors, deltas))
    visible = (slice(-(-size[0] // stride)), slice(-(-size[1] // stride)))
    return Level(
        name,
        stride,
        feature[:, *visible].float().cpu(),
        scores.amax(dim=2)[visible],
        (x, y),
        own_anchors,
        scores[y, x],
        clip_boxes(decode_boxes(own_deltas, own_anchors), size),
    )


def _level_name(model: Model, stride: int) -> str:
    features = model.config.backbone.features
    return f"P{stride.bit_length() - 1}" if features == "fpn" else features.upper()
