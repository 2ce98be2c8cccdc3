"""CocoDataset: images with their targets, as training sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maskrcnn.config.augmentation import Augmentation
from maskrcnn.data.channel_files import read_labelled_pixels
from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.colour import change_channels, change_colours, draw_colour_change
from maskrcnn.data.geometry import View
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.large_images import LargeImages, Sizes
from maskrcnn.data.padding import pad_image, pad_targets
from maskrcnn.data.proposals import ProposalStore
from maskrcnn.data.semantic import draw_semantic
from maskrcnn.data.targets import draw_targets
from maskrcnn.data.transforms import draw_view
from maskrcnn.data.windowed.files import opened_labelled
from maskrcnn.structures import Categories, Size, Targets
from maskrcnn.structures.large_image import Window, WithGaps
from maskrcnn.structures.masks import ByteArray
from maskrcnn.structures.semantic import IGNORED


@dataclass(frozen=True)
class Sample:
    """One training image.

    Attributes:
        image: (C, h, w) uint8 in the `input` frame, contiguous; RGB as a rule.
        targets: its objects, in the same frame.
        image_id: the data set's id.
        file_name: relative to the folder of images.
        original_size: (height, width) of the image in the file.
        proposals: (P, 4) where a model without RPN looks, in the frame of `image`; None: not given.
    """

    image: Tensor
    targets: Targets
    image_id: int
    file_name: str
    original_size: Size
    proposals: Tensor | None = None


class CocoDataset(torch.utils.data.Dataset[Sample]):
    """Images of a `LabelledImages`, read when asked for.

    Args:
        data: what `read_coco` returns.
        augmentation: how `sample` varies images.
        sizes: how large it makes them.
        max_pixels: images that claim more are refused.
        proposals: of the same images, for a model without RPN.
        semantic: whether targets get a label map too.
        objects: False: targets have no objects, since nobody asks for any; drawing their masks takes time.
        large: of which images crops are seen, at the scale of tiles, and read alone where the file allows it; None: of
            none.
    """

    def __init__(
        self,
        data: LabelledImages,
        augmentation: Augmentation,
        sizes: Sizes,
        max_pixels: int = MAX_PIXELS,
        proposals: ProposalStore | None = None,
        semantic: bool = False,
        objects: bool = True,
        large: LargeImages | None = None,
    ) -> None:
        self.folder = data.folder
        self.channels = data.channels
        self.categories: Categories = data.categories
        self.labels = data.labels
        self.augmentation = augmentation
        self.sizes = sizes
        self.max_pixels = max_pixels
        self.proposals = proposals
        self.semantic = semantic
        self.objects = objects
        self.large = large
        self.has_void = data.has_void

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """The image file."""
        return self.folder / self.labels.file_name(index)

    def pixels(self, index: int) -> ByteArray:
        """(H, W, C) uint8 of an image as its labels see it; raises as `sample`."""
        return read_labelled_pixels(self.path(index), self.labels.size(index), self.channels, self.max_pixels)

    def sample(self, index: int, generator: np.random.Generator) -> Sample:
        """An image as training sees it, but that nothing is pasted: all that is random comes from `generator`.

        Raises:
            UserError: the file cannot be read, or has another size than its labels.
        """
        labels, augmentation = self.labels, self.augmentation
        size = labels.size(index)
        numbers = labels.objects(index)
        boxes = labels.boxes[numbers.start : numbers.stop][labels.are_objects(index)]
        large = self.large if self.large is not None and self.large.hold(size, self.sizes) else None
        view = draw_view(size, boxes.numpy(), augmentation, self.sizes, generator, large)
        if large is None:
            pixels = view.image(self.pixels(index), self.sizes.antialias)
        else:
            pixels = view.seen(self._window(index, view.window, large), self.sizes.antialias)
        change = change_colours if self.channels.rgb else change_channels
        pixels, targets = (
            change(pixels, draw_colour_change(augmentation, generator)),
            self._targets(index, view),
        )
        if augmentation.pad_crops:
            side = augmentation.crop_size
            pixels, targets = pad_image(pixels, side), pad_targets(targets, side)
        return Sample(
            image=_to_tensor(pixels),
            targets=targets,
            image_id=int(labels.image_ids[index]),
            file_name=labels.file_name(index),
            original_size=size,
            proposals=None if self.proposals is None else self.proposals.seen(index, view),
        )

    def _window(self, index: int, window: Window, large: LargeImages) -> ByteArray:
        """(h, w, C) uint8 of a part of an image, without the rest where that can be; raises as `sample`."""
        size = self.labels.size(index)
        with opened_labelled(self.path(index), size, self.channels, self.max_pixels) as image:
            pixels = image.read(window)
            if isinstance(image, WithGaps):
                pixels[image.missing(window)] = large.fill
            return pixels

    def _targets(self, index: int, view: View) -> Targets:
        targets = Targets.empty(view.output_size)
        if self.objects:
            targets = draw_targets(self.labels, index, view, self.categories.keypoints)
        if not self.semantic:
            return targets
        num_classes = len(self.categories)
        classes, background = np.arange(num_classes, dtype=np.uint8), IGNORED if self.has_void else num_classes
        pixels = draw_semantic(self.labels, index, view, classes, background)
        return replace(targets, semantic=torch.from_numpy(pixels))

    def __getitem__(self, index: int) -> Sample:
        """The sample drawn with a generator that depends on the index alone."""
        return self.sample(index, np.random.default_rng(index))


def _to_tensor(pixels: ByteArray) -> Tensor:
    """(H, W, C) -> (C, H, W), contiguous."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
