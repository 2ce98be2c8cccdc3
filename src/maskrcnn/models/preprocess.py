"""From pictures to the network's input, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.errors import UserError
from maskrcnn.ops.resize import resized_size
from maskrcnn.structures import Detections, ImageBatch, Size
from maskrcnn.structures.size import padded_size


class Preprocess(nn.Module):
    """Resizes, normalises and pads.

    Args:
        min_size: short side after resizing, pixels.
        max_size: cap of the long side.
        shrink: whether an image may be made smaller to reach `min_size`.
        antialias: filter when shrinking.
        mean: of each channel in [0, 1].
        std: the same.
        size_divisor: padded sides are multiples of this.
        round_to_nearest: how a resized side becomes a whole number; False: fractions are cut off.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        min_size: int,
        max_size: int,
        shrink: bool,
        antialias: bool,
        mean: Sequence[float],
        std: Sequence[float],
        size_divisor: int,
        round_to_nearest: bool = False,
    ) -> None:
        super().__init__()
        self.min_size = min_size
        self.max_size = max_size
        self.shrink = shrink
        self.antialias = antialias
        self.size_divisor = size_divisor
        self.round_to_nearest = round_to_nearest
        # On the CPU, also in a model built without memory (device "meta"): no file brings them.
        self.register_buffer("mean", torch.tensor(mean, device="cpu").view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, device="cpu").view(-1, 1, 1), persistent=False)

    def input_size(self, image: Tensor) -> Size:
        """(height, width) in the `input` frame of a (C, h, w) image in the `original` frame."""
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return resized_size(size, self.min_size, self.max_size, self.shrink, self.round_to_nearest)

    def padded_size(self, image: Tensor) -> Size:
        """The same with the padding that an image gets for itself alone."""
        return padded_size([self.input_size(image)], self.size_divisor)

    def resize(self, image: Tensor) -> Tensor:
        """A (C, h, w) float image in the `original` frame -> the `input` frame."""
        target = self.input_size(image)
        if target == image.shape[-2:]:
            return image
        resized = F.interpolate(image[None], target, mode="bilinear", align_corners=False, antialias=self.antialias)
        return resized[0]

    def batch(
        self, images: Sequence[Tensor], originals: Sequence[Tensor] | None = None, *, padded: Size | None = None
    ) -> ImageBatch:
        """Normalise and pad (C, h, w) images of the `input` frame, with values in [0, 1].

        Args:
            images: of any sizes.
            originals: the same in the `original` frame, where they were resized.
            padded: (height, width) of the batch, where others must have the same (tiles, several ranks); None: that of
                the largest image, rounded up to multiples of `size_divisor`.

        Raises:
            UserError: images with another number of channels.
            ValueError: an image larger than `padded`.
        """
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in originals or images]
        normalised = [self._normalise(image) for image in images]
        return ImageBatch.from_images(normalised, sizes, self.size_divisor, padded=padded)

    def prepare(self, images: Sequence[Tensor], *, padded: Size | None = None) -> ImageBatch:
        """Resize, normalise and pad images of the `original` frame; `padded` as in `batch`."""
        images = [_to_float(image.to(self.mean.device)) for image in images]
        return self.batch([self.resize(image) for image in images], originals=images, padded=padded)

    @staticmethod
    def to_input(boxes: Sequence[Tensor], batch: ImageBatch) -> list[Tensor]:
        """Scale boxes (P, 4) of each image from the `original` to the `input` frame."""
        sizes = zip(batch.sizes, batch.original_sizes, strict=True)
        scales = [(width / original[1], height / original[0]) for (height, width), original in sizes]
        return [b * b.new_tensor([x, y, x, y]) for b, (x, y) in zip(boxes, scales, strict=True)]

    def _normalise(self, image: Tensor) -> Tensor:
        if image.shape[0] != self.mean.shape[0]:
            raise UserError(f"image: expected {len(self.mean)} channel(s) (input.channels), got {len(image)}")
        return (_to_float(image.to(self.mean.device)) - self.mean).div_(self.std)

    @staticmethod
    def to_original(detections: Sequence[Detections], batch: ImageBatch) -> list[Detections]:
        """Scale boxes and keypoints from the `input` back to the `original` frame."""
        restored = []
        for found, (height, width), original in zip(detections, batch.sizes, batch.original_sizes, strict=True):
            ratio_y, ratio_x = original[0] / height, original[1] / width
            boxes = found.boxes * found.boxes.new_tensor([ratio_x, ratio_y, ratio_x, ratio_y])
            keypoints = found.keypoints
            if keypoints is not None:
                keypoints = keypoints * keypoints.new_tensor([ratio_x, ratio_y, 1])
            restored.append(replace(found, boxes=boxes, keypoints=keypoints, image_size=original))
        return restored


def _to_float(image: Tensor) -> Tensor:
    """Bytes become [0, 1]; floats are taken to be there already."""
    return image.float().div_(255) if image.dtype == torch.uint8 else image.float()
