"""A whole network as one function of tensors, from normalised pixels to objects, that can be recorded as a graph.

The steps are those of `MaskRCNN.predict`, in the same order, with the same layers and operators. What a recording
cannot follow is written otherwise: images of a batch are rows of one tensor, boxes that are not there are scores below
every other, and sizes of images come as a tensor.

Shapes: N images, B boxes of an image before a selection, R regions and D detections of all images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.export.operators import UNUSABLE, NMSNode, RoIAlignNode
from maskrcnn.models.box_head import BOX_WEIGHTS, BoxHead
from maskrcnn.models.mask_head import MaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.rpn import RPN
from maskrcnn.ops.boxes import decode_boxes, is_larger_than

LEAST = UNUSABLE / 2
"""Scores above it are those of boxes that are there."""


class Regions(NamedTuple):
    """R boxes of all images, image after image, each image's best first.

    Attributes:
        boxes: (R, 4) `input` frame.
        images: (R,) int64, the image of each.
        ranks: (R,) int64, its place among those of its image.
        scores: (N, P) of all, in their order; `UNUSABLE` where an image has fewer than P.
    """

    boxes: Tensor
    images: Tensor
    ranks: Tensor
    scores: Tensor


class WholeNetwork(nn.Module):
    """Records as one graph.

    Args:
        network: in eval mode, its batch norms folded.
    """

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, pixels: Tensor, sizes: Tensor, score_threshold: Tensor, max_detections: Tensor
    ) -> dict[str, Tensor]:
        """What the model finds, by the names of the graph's outputs (`runtime.contract`).

        Args:
            pixels: (N, C, H, W) normalised and padded.
            sizes: (N, 2) float32 height and width of each image without its padding.
            score_threshold: (1,) float32; objects score above it.
            max_detections: (1,) int64 for each image.
        """
        features: Sequence[Tensor] = self.network.backbone(pixels)
        found = self._objects(features, pixels, sizes, score_threshold, max_detections)
        for name, branch in self.network.dense_branches.items():
            found[f"{name}_logits"] = branch(features)
        return found

    def _objects(
        self, features: Sequence[Tensor], pixels: Tensor, sizes: Tensor, score_threshold: Tensor, max_detections: Tensor
    ) -> dict[str, Tensor]:
        rpn, box_head = self.network.rpn, self.network.box_head
        if rpn is None:
            return {}
        regions = propose(rpn, features, pixels, sizes)
        if box_head is None:
            return _of_rpn_alone(regions, score_threshold, max_detections)
        found = self._detect(box_head, features, regions, sizes, score_threshold, max_detections)
        return {**found, **self._ask_branches(features, found)}

    def _detect(
        self,
        head: BoxHead,
        features: Sequence[Tensor],
        regions: Regions,
        sizes: Tensor,
        score_threshold: Tensor,
        max_detections: Tensor,
    ) -> dict[str, Tensor]:
        """`BoxHead.predict`: the classes of each region, NMS per class, and the best of all classes."""
        cut, order = self._cut(head.pooler, features, regions.boxes, regions.images)
        class_logits, deltas = head(cut)
        probs = _put_back(F.softmax(class_logits, dim=1)[:, :-1], order)
        boxes = decode_boxes(_put_back(deltas, order), regions.boxes[:, None], BOX_WEIGHTS)
        boxes = _clip(boxes, sizes[regions.images][:, None])
        probs = torch.where(is_larger_than(boxes, head.min_size), probs, UNUSABLE)
        # (N, P, K): an image's regions in a row, so that each class of each image is a group of its own in NMS.
        probs = _per_image(regions, probs, UNUSABLE)
        boxes = _per_image(regions, boxes, 0.0).expand(-1, -1, head.num_classes, -1)
        groups = boxes.permute(0, 2, 1, 3).flatten(0, 1), probs.permute(0, 2, 1).flatten(0, 1)
        kept = _suppress(*groups, head.nms_threshold, max_detections, score_threshold)
        kept = kept.unflatten(0, (-1, head.num_classes)).permute(0, 2, 1).flatten(1)  # (N, P K)
        best, images, ranks, places = _best(kept, max_detections)
        rows, labels = places // head.num_classes, places % head.num_classes
        found = {"boxes": boxes[images, rows, labels], "scores": best[images, ranks]}
        return {**found, "labels": labels, "images": images}

    def _ask_branches(self, features: Sequence[Tensor], found: dict[str, Tensor]) -> dict[str, Tensor]:
        answers = {}
        for name, branch in self.network.roi_branches.items():
            cut, order = self._cut(branch.pooler, features, found["boxes"], found["images"])
            if isinstance(branch, MaskHead):
                answers["mask_probs"] = _put_back(branch(cut, found["labels"][order]).sigmoid(), order)
            else:
                answers[f"{name}_logits"] = _put_back(branch(cut), order)
        return answers

    def _cut(
        self, pooler: RoIPooler, features: Sequence[Tensor], boxes: Tensor, images: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The features of boxes, level after level, and which boxes they are, in this order."""
        levels = pooler.levels(boxes)
        parts, order = [], []
        for level, stride in enumerate(pooler.strides):
            own = (levels == level).nonzero()[:, 0]
            own = own[boxes[own, 1].argsort()]  # from top to bottom: neighbours read cells that are in the cache
            order.append(own)
            options = replace(pooler.options, spatial_scale=1 / stride)
            parts.append(RoIAlignNode.apply(features[level], boxes[own], images[own], options))
        return self.network.roi_layers(torch.cat(parts)), torch.cat(order)


def propose(rpn: RPN, features: Sequence[Tensor], pixels: Tensor, sizes: Tensor) -> Regions:
    """`RPN.select`: top-k per level, clipped, NMS per level, then the best of all levels."""
    output = rpn(features, pixels.shape[-2:])
    limits, all_boxes, all_scores = rpn.test_limits, [], []
    limit, least = torch.tensor([limits.post_nms_top_k]), torch.tensor([LEAST])
    needed = torch.full_like(sizes[:, :1], UNUSABLE)
    for logits, deltas, anchors in zip(output.objectness_logits, output.deltas, output.anchors, strict=True):
        k = limits.pre_nms_top_k  # there may be fewer anchors: absent ones are added
        best, index = F.pad(logits, (0, k), value=UNUSABLE).topk(k)
        chosen = F.pad(deltas, (0, 0, 0, k)).gather(1, index[..., None].expand(-1, -1, 4))
        boxes = _clip(decode_boxes(chosen, F.pad(anchors, (0, 0, 0, k))[index]), sizes[:, None])
        usable = is_larger_than(boxes, rpn.min_size) & (best > needed)
        if rpn.score_threshold > 0:
            usable = usable & (best.sigmoid() >= rpn.score_threshold)
        all_scores.append(_suppress(boxes, torch.where(usable, best, UNUSABLE), rpn.nms_threshold, limit, least))
        all_boxes.append(boxes)
        needed = _needed(torch.cat(all_scores, dim=1), limits.post_nms_top_k)
    scores, images, ranks, places = _best(torch.cat(all_scores, dim=1), limit)
    return Regions(torch.cat(all_boxes, dim=1)[images, places], images, ranks, scores)


def _needed(scores: Tensor, limit: int) -> Tensor:
    """(N, 1) what further boxes must exceed to be among the best `limit` of those with scores (N, B).

    Those that do not are nothing to NMS either: it compares a box with better ones alone.
    """
    return F.pad(scores, (0, limit), value=UNUSABLE).topk(limit).values[:, -1:]


def _of_rpn_alone(regions: Regions, score_threshold: Tensor, max_detections: Tensor) -> dict[str, Tensor]:
    """The best proposals, with their objectness as scores."""
    probs = regions.scores.sigmoid()
    best, images, ranks, places = _best(torch.where(probs > score_threshold, probs, UNUSABLE), max_detections)
    boxes = _per_image(regions, regions.boxes, 0.0)[images, places]
    return {"boxes": boxes, "scores": best[images, ranks], "labels": torch.zeros_like(images), "images": images}


def _clip(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (..., 4) cut at the edges of images of sizes (..., 2)."""
    return torch.minimum(boxes.clamp(min=0), torch.cat([sizes, sizes], dim=-1).flip(-1))


def _suppress(boxes: Tensor, scores: Tensor, iou: float, limit: Tensor, least: Tensor) -> Tensor:
    """The scores (N, B) of boxes (N, B, 4), `UNUSABLE` for those at most `least` and those that a better one drops."""
    kept = NMSNode.apply(boxes, scores[:, None], limit, iou, least)
    batch, box = kept[:, 0], kept[:, 2]
    return torch.full_like(scores, UNUSABLE).index_put((batch, box), scores[batch, box])


def _best(scores: Tensor, limit: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best `limit` of each image's scores (N, B) that are there, image after image.

    Returns:
        (N, P) all of them, sorted, and of those that are there the image, the rank and the place 0..B-1. Of equal
        scores the first comes first.
    """
    count = torch.minimum(limit[0], torch.as_tensor(scores.shape[1]))
    best, places = scores.topk(count, dim=1)  # type: ignore[arg-type]  # recorded: a number that depends on the input
    images, ranks = (best > LEAST).nonzero(as_tuple=True)
    return best, images, ranks, places[images, ranks]


def _per_image(regions: Regions, values: Tensor, absent: float) -> Tensor:
    """(N, P, ...) of values (R, ...), `absent` where an image has fewer than P regions."""
    shape = (*regions.scores.shape, *values.shape[1:])
    return values.new_full(shape, absent).index_put((regions.images, regions.ranks), values)


def _put_back(values: Tensor, order: Tensor) -> Tensor:
    """(R, ...) in the order of the boxes, of values of the boxes `order`."""
    return torch.zeros_like(values).index_put((order,), values)
