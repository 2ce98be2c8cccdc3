"""FCN (Long, Shelhamer, Darrell 2015): a class for every pixel, by a softmax over all classes and background.

What Mask R-CNN argues with (section 1): objects of a class that touch are one region here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.models.branches import DenseBranch
from maskrcnn.models.losses import Losses
from maskrcnn.ops.label_maps import label_map
from maskrcnn.structures import Detections, ImageBatch, Targets
from maskrcnn.structures.semantic import IGNORED


class FCNHead(DenseBranch):
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
        super().__init__()
        scored = [stride >= finest or stride == strides[-1] for stride in strides]
        self.first = scored.index(True)
        self.strides = tuple(strides[self.first :])
        self.score = nn.ModuleList(nn.Conv2d(width, num_classes + 1, 1) for width in channels[self.first :])
        for layer in self.score.parameters():
            nn.init.zeros_(layer)
        self.loss_weight = loss_weight

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(N, K + 1, h, w) logits at the finest stride that is scored, of the backbone's maps (N, C, h, w)."""
        *skips, coarse = [score(x) for score, x in zip(self.score, maps[self.first :], strict=True)]
        logits: Tensor = coarse
        stride = self.strides[-1]
        for skip, finer in zip(reversed(skips), reversed(self.strides[:-1]), strict=True):
            logits, stride = skip + _upsample(logits, stride // finer, skip.shape[-2:]), finer
        return logits

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
            scores = _upsample(logits[None], self.strides[0], truth.shape)
            sums.append(F.cross_entropy(scores, truth[None], ignore_index=IGNORED, reduction="sum"))
            known.append((truth != IGNORED).sum())
        mean = torch.stack(sums).sum() / torch.stack(known).sum().clamp(min=1)
        return Losses(semantic=self.loss_weight * mean)

    def predict(self, maps: Sequence[Tensor], batch: ImageBatch, detections: Sequence[Detections]) -> list[Detections]:
        """Each image's detections with its label map, in the `original` frame."""
        images = zip(self(maps).float(), detections, batch.sizes, batch.original_sizes, strict=True)
        return [
            replace(found, semantic=label_map(logits, self.strides[0], size, original))
            for logits, found, size, original in images
        ]


def _upsample(logits: Tensor, factor: int, size: Sequence[int]) -> Tensor:
    """Bilinear, by a whole factor: cells lie where they lay, and those that reach over the edge are cut off."""
    if factor > 1:
        logits = F.interpolate(logits, scale_factor=factor, mode="bilinear", align_corners=False)
    return logits[..., : size[0], : size[1]]
