"""What branches read regions from: the maps of a batch, RoIAlign, and the layers behind it that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from maskrcnn.models.chunks import Chunk, chunks_of
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.sampling import SampledRoIs

Result = TypeVar("Result")


class RoIFeatures:
    """The feature maps of a batch, read region by region.

    A branch may also look at `maps` itself.

    Args:
        maps: (N, C, h, w) each, finest first.
        shared_layers: what all branches share behind RoIAlign: stage 5 in C4 (figure 4, left), nothing with FPN.
        later: how those branches cut out their features that read the same RoIs after the box branch.
    """

    def __init__(self, maps: Sequence[Tensor], shared_layers: nn.Module, later: Sequence[RoIPooler] = ()) -> None:
        self.maps = maps
        self.shared_layers = shared_layers
        self.later = later
        self._kept: tuple[RoIPooler, Sequence[SampledRoIs], Tensor] | None = None

    def of_boxes(self, pooler: RoIPooler, boxes: Sequence[Tensor]) -> Tensor:
        """(R, C, S, S) of the boxes (R_i, 4) of every image, image after image."""
        return self._cut(pooler, self.maps, boxes)

    def of_rois(
        self, pooler: RoIPooler, rois: Sequence[SampledRoIs], rows: Sequence[Tensor | slice] | None = None
    ) -> Tensor:
        """(R, C, S, S) of every image's RoIs, or of some rows of them.

        Those of all RoIs are kept where a later branch cuts alike: in C4, stage 5 then runs once for all branches.
        """
        if rows is None:
            features = self.of_boxes(pooler, [own.boxes for own in rois])
            if any(other.cuts_like(pooler) for other in self.later):
                self._kept = pooler, rois, features
            return features
        if self._kept is not None:
            kept_pooler, kept_rois, features = self._kept
            if kept_rois is rois and kept_pooler.cuts_like(pooler):
                return _rows_of(features, rois, rows)
        return self.of_boxes(pooler, [own.boxes[chosen] for own, chosen in zip(rois, rows, strict=True)])

    def in_chunks(
        self, pooler: RoIPooler, boxes: Sequence[Tensor], work: Callable[[Tensor, Chunk], Result]
    ) -> list[Result]:
        """What `work` makes of the RoI features of all boxes (R_i, 4), a bounded number of boxes at a time."""
        chunks = chunks_of(self.maps, boxes, pooler.options.output_size)
        return self._each(chunks, lambda chunk: work(self._cut(pooler, chunk.features, chunk.boxes), chunk))

    def _each(self, chunks: Sequence[Chunk], work: Callable[[Chunk], Result]) -> list[Result]:
        return [work(chunk) for chunk in chunks]

    def _cut(self, pooler: RoIPooler, maps: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        features: Tensor = self.shared_layers(pooler(maps, boxes))
        return features


def _rows_of(values: Tensor, sampled: Sequence[SampledRoIs], rows: Sequence[Tensor | slice]) -> Tensor:
    """Of values (R, ...) of all RoIs, image after image, the given rows of each image."""
    parts = values.split([rois.boxes.shape[0] for rois in sampled])
    return torch.cat([part[own] for part, own in zip(parts, rows, strict=True)])
