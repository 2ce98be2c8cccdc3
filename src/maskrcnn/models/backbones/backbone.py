"""What a backbone is, and its usual form: a stem and stages, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, Self

from torch import Tensor, nn


class Backbone(Protocol):
    """A module from pixels to feature maps, finest first: C2..C5 in the papers."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each map."""
        ...

    @property
    def strides(self) -> tuple[int, ...]:
        """Of each map, input pixels per cell; powers of two."""
        ...

    def __call__(self, pixels: Tensor, /) -> list[Tensor]:
        """Maps (N, channels[i], H / strides[i], W / strides[i]), sides rounded up, of pixels (N, C, H, W)."""
        ...


class StagedBackbone(nn.Module):
    """A stem and stages, one after the other: each stage gives a map, and the first ones can be frozen.

    Args:
        stem: what comes before the first map.
        stages: stage 2, 3, ... of the papers.
        channels: what each stage gives.
        strides: the same, in input pixels per cell.
    """

    def __init__(
        self, stem: nn.Module, stages: Iterable[nn.Module], channels: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.channels: tuple[int, ...] = tuple(channels)
        self.strides: tuple[int, ...] = tuple(strides)
        self.frozen: list[nn.Module] = []

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """The map of every stage, of pixels (N, C, H, W)."""
        x = self.stem(pixels)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def freeze(self, num_stages: int) -> None:
        """Let so many of (stem, stage 2, stage 3, ...) keep their weights and statistics in training."""
        self.frozen = [self.stem, *self.stages][:num_stages]
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Frozen stages stay in eval mode, so that their batch statistics do not move either."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def detach_last_stage(self) -> nn.Module:
        """Take the last stage out, so that it can follow RoIAlign: stage 5 in C4 (figure 4, left)."""
        last = self.stages.pop(-1)
        self.channels, self.strides = self.channels[:-1], self.strides[:-1]
        return last
