"""ImageBatch: images of unlike sizes, padded into one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.structures.size import Size, padded_size


@dataclass(frozen=True)
class ImageBatch:
    """N normalised images in the `input` frame.

    Attributes:
        pixels: (N, C, H, W) float, channels-last in memory, padded right and bottom with zeros.
        sizes: (height, width) of each image before padding, in the `input` frame.
        original_sizes: (height, width) of each image in the `original` frame.
    """

    pixels: Tensor
    sizes: tuple[Size, ...]
    original_sizes: tuple[Size, ...]

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def from_images(
        cls,
        images: Sequence[Tensor],
        original_sizes: Sequence[Size],
        divisor: int = 32,
        *,
        padded: Size | None = None,
    ) -> ImageBatch:
        """Pad (C, h, w) images to `padded`; None: the largest height and width, rounded up to multiples of `divisor`.

        Raises:
            ValueError: an image does not fit.
        """
        sizes = tuple((int(image.shape[-2]), int(image.shape[-1])) for image in images)
        height, width = padded_size(sizes, divisor) if padded is None else padded
        if any(h > height or w > width for h, w in sizes):
            raise ValueError(f"padded: expected at least the height and width of each of {sizes}, got {padded}")
        shape = (len(images), images[0].shape[0], height, width)
        pixels = torch.empty(shape, device=images[0].device, memory_format=torch.channels_last).zero_()
        for slot, image, (h, w) in zip(pixels, images, sizes, strict=True):
            slot[:, :h, :w] = image
        return cls(pixels, sizes, tuple(original_sizes))
