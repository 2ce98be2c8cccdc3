"""One RoI in detail: where its features come from, its class scores, its box, its masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maskrcnn.models.box_head import BOX_WEIGHTS
from maskrcnn.models.keypoint_head import KeypointHead
from maskrcnn.models.mask_head import MaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.ops.boxes import clip_boxes, decode_boxes
from maskrcnn.ops.roi_align import roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions, Rounding
from maskrcnn.ops.roi_pool import Bins, roi_pool, roi_pool_bins, round_boxes
from maskrcnn.ops.roi_samples import roi_bins
from maskrcnn.structures import Detections

ROUNDINGS: tuple[Rounding, ...] = ("nearest", "floor")


@dataclass(frozen=True)
class Pooling:
    """What RoIPool makes of one box by one of its rules, in `input` pixels.

    Attributes:
        box: (4,) moved to whole cells.
        bins: (S, S, 4) its bins, whole cells; empty ones lie outside the map.
    """

    box: Tensor
    bins: Tensor


@dataclass(frozen=True)
class Cutting:
    """Where two operators take the features of one box from, in `input` pixels.

    Attributes:
        box: (4,) the box.
        stride: pixels per cell.
        points: (S, S, n, 2) x, y of RoIAlign's samples: row of bins, column of bins, sample.
        centre: where in a cell, 0 to 1, its value is taken to lie.
        poolings: by RoIPool's rules.
        rule: the one that the model's settings name.
        aligned: (S, S) the size (L2 norm over the channels) of RoIAlign's features ...
        pooled: (S, S) ... and of RoIPool's.
    """

    box: Tensor
    stride: int
    points: Tensor
    centre: float
    poolings: dict[Rounding, Pooling]
    rule: Rounding
    aligned: Tensor
    pooled: Tensor

    @property
    def pooling(self) -> Pooling:
        """RoIPool by the model's rule."""
        return self.poolings[self.rule]


@dataclass(frozen=True)
class KeypointMaps:
    """What the keypoint branch says of a box.

    Attributes:
        logits: (P, m, m) a map over the box for each keypoint.
        points: (P, 3) x, y, score of their peaks.
    """

    logits: Tensor
    points: Tensor


@dataclass(frozen=True)
class Region:
    """One RoI and what the heads say of it.

    Attributes:
        index: which of the proposals it is, 0 for the best.
        number: which of the objects found it became, 1 for the best; None for none.
        box: (4,) the proposal.
        level: the map its features are read from, 0 is the finest.
        cutting: how they are cut out.
        class_probs: (K + 1,) background last.
        label: the class, 0..K-1.
        deltas: (4,) how the box branch moves the box for that class.
        refined: (4,) the result.
        mask_probs: (M, m, m) every mask of the refined box; None without mask branch.
        mask: which of them is the one of `label`.
        keypoints: of the refined box; None without keypoint branch.
    """

    index: int
    number: int | None
    box: Tensor
    level: int
    cutting: Cutting
    class_probs: Tensor
    label: int
    deltas: Tensor
    refined: Tensor
    mask_probs: Tensor | None
    mask: int
    keypoints: KeypointMaps | None

    @property
    def score(self) -> float:
        """The probability of the class."""
        return float(self.class_probs[self.label])


@dataclass(frozen=True)
class Scored:
    """What the box branch says of all proposals of an image; on the CPU, `input` frame.

    Attributes:
        boxes: (P, 4) the proposals.
        class_probs: (P, K + 1) background last.
        deltas: (P, K or 1, 4).
        found: the objects that came out in the end, boxes in the `input` frame.
    """

    boxes: Tensor
    class_probs: Tensor
    deltas: Tensor
    found: Detections


def follow_region(network: MaskRCNN, features: Sequence[Tensor], scored: Scored, number: int) -> Region | None:
    """The proposal that became an object; without objects, the one that came nearest to being one.

    Args:
        network: with a box head.
        features: its maps of one image.
        scored: what its box head said.
        number: of the object, 1 for the best.
    """
    if not len(scored.boxes):
        return None
    head = network.box_head
    assert head is not None
    label, index = _origin(scored, number)
    box, refined = scored.boxes[index], _refined(scored, label)[index]
    masks, mask = _masks(network, features, refined, label)
    level = int(head.pooler.levels(box[None]))
    return Region(
        index,
        number if len(scored.found) else None,
        box,
        level,
        cut_out(features[level].cpu(), box, head.pooler.strides[level], head.pooler.options),
        scored.class_probs[index],
        label,
        _deltas(scored, label)[index],
        refined,
        masks,
        mask,
        _keypoints(network, features, refined),
    )


def _origin(scored: Scored, number: int) -> tuple[int, int]:
    """The label of an object, and the proposal it comes from; without objects, the pair with the best score."""
    found, class_probs = scored.found, scored.class_probs[:, :-1]
    if not len(found):
        index, label = divmod(int(class_probs.argmax()), class_probs.shape[1])
        return label, index
    label = int(found.labels[number - 1])
    # No object says which proposal it comes from, but its numbers do.
    box_difference = (_refined(scored, label) - found.boxes[number - 1]).abs().amax(dim=1)
    score_difference = (class_probs[:, label] - found.scores[number - 1]).abs()
    return label, int((box_difference + score_difference).argmin())


def _deltas(scored: Scored, label: int) -> Tensor:
    """(P, 4) those of one class."""
    return scored.deltas[:, label if scored.deltas.shape[1] > 1 else 0]


def _refined(scored: Scored, label: int) -> Tensor:
    """(P, 4) the boxes as the branch moves them for one class."""
    return clip_boxes(decode_boxes(_deltas(scored, label), scored.boxes, BOX_WEIGHTS), scored.found.image_size)


def _masks(network: MaskRCNN, features: Sequence[Tensor], box: Tensor, label: int) -> tuple[Tensor | None, int]:
    """Probabilities (M, m, m) of every mask of a box, and which one belongs to the label."""
    head = network.roi_branches.get("mask_head")
    if not isinstance(head, MaskHead):
        return None, 0
    roi_features = network.roi_layers(head.pooler(features, [box[None].to(features[0].device)]))
    logits = head.all_logits(roi_features)[0].float()
    probs = logits.softmax(dim=0) if head.competing else logits.sigmoid()
    return probs.cpu(), int(head.mask_index(torch.tensor([label])))


def _keypoints(network: MaskRCNN, features: Sequence[Tensor], box: Tensor) -> KeypointMaps | None:
    head = network.roi_branches.get("keypoint_head")
    if not isinstance(head, KeypointHead):
        return None
    own = box[None].to(features[0].device)
    logits = head(network.roi_layers(head.pooler(features, [own])))
    return KeypointMaps(logits[0].float().cpu(), head.decode(logits, own)[0].cpu())


def cut_out(feature: Tensor, box: Tensor, stride: int, options: RoIAlignOptions) -> Cutting:
    """How RoIAlign and RoIPool read a box (4,) from a map (1, C, h, w)."""
    scaled = replace(options, spatial_scale=1 / stride)
    index = torch.zeros(1, dtype=torch.int64, device=box.device)
    aligned, pooled = (
        operator(feature.float(), box[None], index, scaled)[0].norm(dim=0) for operator in (roi_align, roi_pool)
    )
    return Cutting(
        box,
        stride,
        sample_points(box, stride, options),
        0.5 if options.aligned else 0.0,
        {rule: _pooling(box, replace(scaled, rounding=rule), feature.shape[-2:]) for rule in ROUNDINGS},
        options.rounding,
        aligned,
        pooled,
    )


def _pooling(box: Tensor, options: RoIAlignOptions, map_size: Sequence[int]) -> Pooling:
    stride = round(1 / options.spatial_scale)
    rounded = round_boxes(box[None], options.spatial_scale, options.rounding)[0]
    columns, rows = roi_pool_bins(box[None], options, *map_size)
    return Pooling(rounded * stride, _rectangles(columns, rows) * stride)


def sample_points(box: Tensor, stride: int, options: RoIAlignOptions) -> Tensor:
    """(S, S, n, 2) x, y of RoIAlign's samples of a box (4,), `input` pixels: row of bins, column of bins, sample."""
    centre, (rows, columns) = 0.5 if options.aligned else 0.0, options.bins
    starts, sides, counts = roi_bins(box[None], replace(options, spatial_scale=1 / stride))  # in cells; counts of y, x
    axes = [(starts[0, i] + centre, sides[0, i], int(counts[0, 1 - i])) for i in range(2)]
    x, y = (stride * _positions(*axis, size) for axis, size in zip(axes, (columns, rows), strict=True))
    samples = torch.broadcast_tensors(x[None, :, None, :], y[:, None, :, None])
    return torch.stack(samples, dim=-1).reshape(rows, columns, -1, 2)


def _positions(start: Tensor, bin_side: Tensor, count: int, size: int) -> Tensor:
    """(S, count) the samples along one axis, `count` in each bin."""
    steps = (torch.arange(size * count) + 0.5) / max(count, 1)
    return (start + bin_side * steps).view(size, count)


def _rectangles(columns: Bins, rows: Bins) -> Tensor:
    """(S, S, 4) the bins of the only box."""
    x1, y1, x2, y2 = columns.starts, rows.starts[0][:, None], columns.ends, rows.ends[0][:, None]
    return torch.stack(torch.broadcast_tensors(x1, y1, x2, y2), dim=-1)
