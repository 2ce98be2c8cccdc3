"""What `maskrcnn check` prints of a data set: sizes, counts and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskrcnn.text import counted

if TYPE_CHECKING:
    from torch import Tensor

    from maskrcnn.data.coco import LabelledImages
    from maskrcnn.structures import KeypointSchema

CLASSES_SHOWN = 100
"""More are counted together: a file may name fifty thousand."""


def print_contents(split: LabelledImages) -> None:
    """Sizes, counts and classes."""
    import torch

    labels = split.labels
    kept, wanted = ~labels.ignore, labels.is_object
    images = torch.repeat_interleave(torch.arange(len(labels)), labels.first_object.diff())
    counts = images[wanted].bincount(minlength=len(labels))
    heights, widths = labels.image_sizes.unbind(dim=1)
    boxes = labels.boxes[wanted]
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    print(f"  image width   {_spread(widths)} pixels")
    print(f"  image height  {_spread(heights)} pixels")
    print(f"  objects       {_spread(counts)} per image; {counted(int((counts == 0).sum()), 'image')} without any")
    if len(sides):
        print(f"  object side   {_spread(sides)} pixels (root of the box area)")
    of_class = labels.labels[kept].bincount(minlength=len(split.categories)).tolist()
    for label, number in list(enumerate(of_class))[:CLASSES_SHOWN]:
        kind = "regions of stuff" if label in split.categories.stuff else "objects"
        print(f"  class         {split.categories.names[label]}: {number} {kind}")
    if len(of_class) > CLASSES_SHOWN:
        print(f"  class         and {len(of_class) - CLASSES_SHOWN} more with {sum(of_class[CLASSES_SHOWN:])} objects")
    if split.categories.keypoints is not None:
        _print_keypoints(split, split.categories.keypoints)


def _print_keypoints(split: LabelledImages, schema: KeypointSchema) -> None:
    pairs = sum(other > i for i, other in enumerate(schema.mirrored))
    labelled = int((split.labels.first_keypoint.diff() > 0).sum())
    print(f"  keypoints     {len(schema)}, of which {pairs} pairs of left and right; {labelled} objects have some")


def _spread(values: Tensor) -> str:
    return f"{values.min():.0f} to {values.max():.0f}, median {values.median():.0f}"
