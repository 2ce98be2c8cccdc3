"""Targets: the ground truth of one image, as the losses want it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from maskrcnn.structures.masks import MaskCrops
from maskrcnn.structures.size import Size


@dataclass(frozen=True)
class PackedMasks:
    """`MaskCrops` as tensors: they go to a GPU, and between processes without a copy.

    Attributes:
        windows: (G, 4) int64 x1, y1, x2, y2: whole pixels, half open, inside the frame; may be empty.
        pixels: flat uint8 of 0 and 1, window after window, each row by row.
        offsets: (G + 1,) int64; object i owns pixels[offsets[i]:offsets[i + 1]].
        image_size: (height, width) of the frame.
    """

    windows: Tensor
    pixels: Tensor
    offsets: Tensor
    image_size: Size

    def __len__(self) -> int:
        return len(self.windows)

    @classmethod
    def from_crops(cls, masks: MaskCrops) -> PackedMasks:
        """The same masks in the same memory."""
        windows, pixels, offsets = map(torch.from_numpy, (masks.windows, masks.pixels, masks.offsets))
        return cls(windows, pixels, offsets, masks.image_size)

    @classmethod
    def from_bitmaps(cls, bitmaps: Tensor) -> PackedMasks:
        """Pack (G, H, W) bitmaps of 0 and 1, each cut down to the tightest window around its ones."""
        return cls.from_crops(MaskCrops.from_bitmaps(bitmaps.cpu().numpy()))

    def crops(self) -> MaskCrops:
        """The same masks as arrays."""
        windows, pixels, offsets = (part.cpu().numpy() for part in (self.windows, self.pixels, self.offsets))
        return MaskCrops(windows, pixels, offsets, self.image_size)

    def bitmaps(self) -> Tensor:
        """(G, H, W) uint8 full-frame bitmaps: for tests and small images, since it costs G x H x W bytes."""
        return torch.from_numpy(self.crops().bitmaps()).to(self.pixels.device)

    def to(self, device: torch.device | str) -> PackedMasks:
        """A copy on `device`."""
        return PackedMasks(self.windows.to(device), self.pixels.to(device), self.offsets.to(device), self.image_size)


@dataclass(frozen=True)
class Targets:
    """The G objects of one image in the `input` frame; G = 0 is normal.

    Attributes:
        boxes: (G, 4) float32 x1, y1, x2, y2, absolute pixels.
        labels: (G,) int64 in 0..K-1.
        masks: one mask per object, or None when the data has none.
        crowd_boxes: (C, 4) float32 regions to ignore: neither object nor background.
        keypoints: (G, P, 3) float32 x, y, visibility (0: not labelled, 1: hidden, 2: seen), or None when the data has
            none.
        semantic: (h, w) uint8 label map of the whole image (`structures.semantic`), or None where no branch
            needs it.
    """

    boxes: Tensor
    labels: Tensor
    masks: PackedMasks | None = None
    crowd_boxes: Tensor = field(default_factory=lambda: torch.zeros((0, 4)))
    keypoints: Tensor | None = None
    semantic: Tensor | None = None

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.boxes.shape != (count, 4):
            raise ValueError(f"targets: boxes must be ({count}, 4) to match labels, got {tuple(self.boxes.shape)}")
        if self.masks is not None and len(self.masks) != count:
            raise ValueError(f"targets: {len(self.masks)} masks for {count} boxes")
        if self.keypoints is not None and (self.keypoints.ndim, len(self.keypoints)) != (3, count):
            raise ValueError(f"targets: keypoints must be ({count}, P, 3), got {tuple(self.keypoints.shape)}")

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def empty(cls, image_size: Size) -> Targets:
        """An image without objects."""
        masks = PackedMasks.from_crops(MaskCrops.from_crops([], [], image_size))
        return cls(torch.zeros((0, 4)), torch.zeros(0, dtype=torch.int64), masks)

    def to(self, device: torch.device | str) -> Targets:
        """A copy on `device`."""
        masks = None if self.masks is None else self.masks.to(device)
        keypoints = None if self.keypoints is None else self.keypoints.to(device)
        semantic = None if self.semantic is None else self.semantic.to(device)
        return Targets(
            self.boxes.to(device), self.labels.to(device), masks, self.crowd_boxes.to(device), keypoints, semantic
        )
