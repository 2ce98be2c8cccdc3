"""A class for every pixel, by a softmax over all classes and background: FCN (Long et al. 2015), or on the pyramid.

FCN is what Mask R-CNN argues with (section 1): objects of a class that touch are one region here. Beside the branches
for regions, the same question is the semantic half of Panoptic FPN (Kirillov et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.kernels.group_norm import GroupNorm
from maskrcnn.models.branches import DenseBranch
from maskrcnn.models.losses import Losses
from maskrcnn.ops.counts import divisor
from maskrcnn.ops.label_maps import label_map
from maskrcnn.structures import Detections, ImageBatch, Targets
from maskrcnn.structures.semantic import IGNORED

GROUPS = 32
"""Of group norm."""


class SemanticHead(DenseBranch):
    """What any such branch does with its logits (N, K + 1, h, w), which `forward` computes from the maps.

    Args:
        stride: of the logits, input pixels per cell.
        loss_weight: factor of its loss.
    """

    def __init__(self, stride: int, loss_weight: float) -> None:
        super().__init__()
        self.stride = stride
        self.loss_weight = loss_weight

    def loss(self, maps: Sequence[Tensor], batch: ImageBatch, targets: Sequence[Targets]) -> Losses:
        """The mean cross-entropy over the pixels whose class is known; image by image, so as to save memory.

        Raises:
            ValueError: targets without a label map.
        """
        sums, known = [], []
        for logits, target in zip(self(maps).float(), targets, strict=True):
            if target.semantic is None:
                raise ValueError("targets: expected a label map (semantic) for the semantic branch, got none")
            truth = target.semantic.long()
            scores = _upsample(logits[None], self.stride, truth.shape)
            sums.append(F.cross_entropy(scores, truth[None], ignore_index=IGNORED, reduction="sum"))
            known.append((truth != IGNORED).sum())
        mean = torch.stack(sums).sum() / divisor(torch.stack(known).sum())
        return Losses(semantic=self.loss_weight * mean)

    def predict(self, maps: Sequence[Tensor], batch: ImageBatch, detections: Sequence[Detections]) -> list[Detections]:
        """Each image's detections with its label map, in the `original` frame."""
        images = zip(self(maps).float(), detections, batch.sizes, batch.original_sizes, strict=True)
        return [
            replace(found, semantic=label_map(logits, self.stride, size, original))
            for logits, found, size, original in images
        ]


class FCNHead(SemanticHead):
    """Scores C5, and adds the scores of finer maps, "skips", to what is upsampled (section 4.2, figure 3).

    Upsampling is bilinear and not learned: Long et al. begin with that and find little gain in learning it. As in
    section 4.3, layers of scores begin at zero, so that a finer net begins with the scores of the coarser one.

    Args:
        channels: of the backbone's maps, finest first.
        strides: of the same, input pixels per cell.
        num_classes: K.
        finest: stride of the finest map that is scored: 32 (FCN-32s), 16 or 8.
        loss_weight: factor of its loss.
    """

    class_outputs = tuple(f"score.{number}" for number in range(4))

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_classes: int,
        *,
        finest: int = 8,
        loss_weight: float = 1.0,
    ) -> None:
        scored = [stride >= finest or stride == strides[-1] for stride in strides]
        super().__init__(strides[scored.index(True)], loss_weight)
        self.first = scored.index(True)
        self.strides = tuple(strides[self.first :])
        self.score = nn.ModuleList(nn.Conv2d(width, num_classes + 1, 1) for width in channels[self.first :])
        for layer in self.score.parameters():
            nn.init.zeros_(layer)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(N, K + 1, h, w) logits at the finest stride that is scored, of the backbone's maps (N, C, h, w)."""
        *skips, coarse = [score(x) for score, x in zip(self.score, maps[self.first :], strict=True)]
        logits: Tensor = coarse
        stride = self.strides[-1]
        for skip, finer in zip(reversed(skips), reversed(self.strides[:-1]), strict=True):
            logits, stride = skip + _upsample(logits, stride // finer, skip.shape[-2:]), finer
        return logits


class PyramidHead(SemanticHead):
    """The semantic branch of Panoptic FPN (Kirillov, Girshick, He, Dollar 2019, section 3 and figure 3).

    P2..P5 are each brought to the stride of P2 by steps of a 3 x 3 convolution, group norm, ReLU and bilinear
    upsampling by two, then added; a 1 x 1 convolution scores the classes.

    Args:
        in_channels: of the pyramid's maps.
        strides: of the maps that are read, finest first.
        num_classes: K.
        channels: of its layers.
        loss_weight: factor of its loss.
    """

    class_outputs = ("score",)

    def __init__(
        self, in_channels: int, strides: Sequence[int], num_classes: int, *, channels: int, loss_weight: float = 1.0
    ) -> None:
        super().__init__(strides[0], loss_weight)
        self.levels = nn.ModuleList(
            _to_finest(in_channels, channels, doublings=(stride // strides[0]).bit_length() - 1) for stride in strides
        )
        self.score = nn.Conv2d(channels, num_classes + 1, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(N, K + 1, h, w) logits at the stride of P2, of the pyramid's maps (N, C, h, w)."""
        size = maps[0].shape[-2:]
        levels = zip(self.levels, maps, strict=False)  # P6 is for the RPN alone
        summed = torch.stack([level(x)[..., : size[0], : size[1]] for level, x in levels]).sum(dim=0)
        logits: Tensor = self.score(summed)
        return logits


def _to_finest(in_channels: int, channels: int, doublings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(max(doublings, 1)):
        conv = nn.Conv2d(channels if number else in_channels, channels, 3, padding=1, bias=False)
        layers += [conv, GroupNorm(GROUPS, channels), nn.ReLU()]
        if doublings:
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    return nn.Sequential(*layers)


def _upsample(logits: Tensor, factor: int, size: Sequence[int]) -> Tensor:
    """Bilinear, by a whole factor: cells lie where they lay, and those that reach over the edge are cut off."""
    if factor > 1:
        logits = F.interpolate(logits, scale_factor=factor, mode="bilinear", align_corners=False)
    return logits[..., : size[0], : size[1]]
