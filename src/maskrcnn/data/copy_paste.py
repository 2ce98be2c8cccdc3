"""Simple copy-paste (Ghiasi et al. 2021): objects of one training image on another one.

Both were varied by themselves. In the pasted pixels the other image is seen, everywhere else this one, and of the
objects of both what is seen there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from maskrcnn.config.augmentation import Augmentation
from maskrcnn.data.dataset import Sample
from maskrcnn.data.geometry import Window
from maskrcnn.data.targets import SLIVER_PIXELS, DrawnMask, intersection, packed, trimmed
from maskrcnn.structures import MaskCrops, PackedMasks, Size, Targets
from maskrcnn.structures.masks import BoolArray, Float32Array, FloatArray, IntArray

Shift = tuple[int, int]
"""What is added to x and y."""

SEEN_ENOUGH = 0.5
"""An object of the other image that was not drawn, but of which as much is seen on those that were, is an object too:
the windows of a facade come along with it."""

_HIDDEN_KEYPOINT = 1
"""Its visibility."""


def paste(sample: Sample, other: Sample, augmentation: Augmentation, generator: np.random.Generator) -> Sample:
    """`sample` with some objects of `other` on it, at a random place and with sharp edges.

    Each object of `other` is pasted with probability `augmentation.paste_fraction`. Where objects are known by their
    boxes alone, in either image, `sample` stays as it is.
    """
    below, above = sample.targets, other.targets
    if below.masks is None or above.masks is None:
        return sample
    size, frame = above.masks.image_size, below.masks.image_size
    is_drawn = generator.random(len(above)) < augmentation.paste_fraction
    shift = draw_shift(size, frame, generator)
    x, y = shift
    reach = intersection((-x, -y, frame[1] - x, frame[0] - y), (0, 0, size[1], size[0]))
    patch = _union(above.masks.crops(), np.flatnonzero(is_drawn), reach)
    if not patch.crop.size:
        return sample
    seen_below = visible(below, _plane(_moved(patch, shift), frame), np.zeros(len(below)))
    seen_above = visible(above, ~_plane(patch, size), np.where(is_drawn, 0.0, SEEN_ENOUGH))
    targets = _joined(seen_below, _moved_targets(seen_above, shift, frame))
    if below.semantic is not None and above.semantic is not None:
        targets = replace(targets, semantic=_overlaid(below.semantic, above.semantic, patch, shift))
    return replace(sample, image=_overlaid(sample.image, other.image, patch, shift), targets=targets)


def draw_shift(size: Size, frame: Size, generator: np.random.Generator) -> Shift:
    """Draw where an image of (height, width) `size` lies in a frame; along each axis the smaller lies in the larger."""
    gaps = np.subtract(frame, size).tolist()
    y, x = (int(generator.integers(min(0, gap), max(0, gap) + 1)) for gap in gaps)
    return x, y


# --- what is pasted ---------------------------------------------------------------------------------------------


def _union(masks: MaskCrops, chosen: IntArray, window: Window) -> DrawnMask:
    """What some masks cover together within a window."""
    covered = np.zeros(masks.image_size, np.uint8)
    for index in chosen.tolist():
        x1, y1, x2, y2 = masks.windows[index].tolist()
        covered[y1:y2, x1:x2] |= masks.crop(index)
    x1, y1, x2, y2 = window
    return trimmed(covered[y1:y2, x1:x2], window)


def _moved(mask: DrawnMask, shift: Shift) -> DrawnMask:
    (x1, y1, x2, y2), (x, y) = mask.window, shift
    return DrawnMask(mask.crop, (x1 + x, y1 + y, x2 + x, y2 + y))


def _plane(mask: DrawnMask, frame: Size) -> BoolArray:
    """(h, w) the mask in the whole frame, to look up pixels in; what it does not touch costs no memory."""
    plane = np.zeros(frame, bool)
    x1, y1, x2, y2 = mask.window
    plane[y1:y2, x1:x2] = mask.crop
    return plane


def _overlaid(below: Tensor, above: Tensor, patch: DrawnMask, shift: Shift) -> Tensor:
    """Pixels (..., h, w): those of `above`, shifted, where the patch lies, else those of `below`."""
    (x1, y1, x2, y2), (left, top, right, bottom) = patch.window, _moved(patch, shift).window
    pixels = below.clone()
    np.copyto(
        pixels.numpy()[..., top:bottom, left:right], above.numpy()[..., y1:y2, x1:x2], where=patch.crop.view(bool)
    )
    return pixels


# --- what is seen of objects ------------------------------------------------------------------------------------


def visible(targets: Targets, hidden: BoolArray, least: FloatArray) -> Targets:
    """What is seen of an image's objects, without a label map.

    An object is what is left of its mask, in a box around that. A sliver is a region to ignore, and without a pixel
    left there is nothing. Regions to ignore are their boxes, and shrink likewise.

    Args:
        targets: with masks.
        hidden: (h, w) the pixels where something else is seen.
        least: (G,) the share of each mask of which less is nothing.
    """
    assert targets.masks is not None
    masks, keypoints = targets.masks.crops(), targets.keypoints
    seen = [_visible_mask(masks, index, hidden) for index in range(len(masks))]
    areas = np.array([np.count_nonzero(masks.crop(index)) for index in range(len(masks))], np.int64)
    left = np.array([np.count_nonzero(mask.crop) for mask in seen], np.int64)
    windows = np.array([mask.window for mask in seen], np.float32).reshape(-1, 4)
    is_sliver = (windows[:, 2:] - windows[:, :2]).min(axis=1) < SLIVER_PIXELS
    is_less = left < areas
    is_there = ~is_less | ((left > 0) & (left >= least * areas))
    boxes = np.where(is_less[:, None], windows, targets.boxes.numpy())
    kept = np.flatnonzero(is_there & ~(is_less & is_sliver))
    regions = [*windows[is_there & is_less & is_sliver], *_visible_regions(targets.crowd_boxes.numpy(), hidden)]
    return Targets(
        boxes=torch.from_numpy(boxes[kept]),
        labels=targets.labels[kept],
        masks=packed([seen[index] for index in kept], masks.image_size),
        crowd_boxes=torch.from_numpy(np.array(regions, np.float32).reshape(-1, 4)),
        keypoints=None if keypoints is None else _visible_keypoints(keypoints[kept], hidden),
    )


def _visible_mask(masks: MaskCrops, index: int, hidden: BoolArray) -> DrawnMask:
    x1, y1, x2, y2 = masks.windows[index].tolist()
    crop, cover = masks.crop(index), hidden[y1:y2, x1:x2]
    return trimmed(crop & ~cover, (x1, y1, x2, y2)) if cover.any() else DrawnMask(crop, (x1, y1, x2, y2))


def _visible_regions(boxes: Float32Array, hidden: BoolArray) -> Iterator[Float32Array]:
    """What is seen of each of the boxes (C, 4), where anything is."""
    for box in boxes:
        x1, y1, x2, y2 = (int(v) for v in (*np.floor(box[:2]), *np.ceil(box[2:])))
        cover = hidden[y1:y2, x1:x2]
        if not cover.any():
            yield box
        elif not cover.all():
            seen = np.array(trimmed((~cover).view(np.uint8), (x1, y1, x2, y2)).window, np.float32)
            yield np.concatenate([np.maximum(box[:2], seen[:2]), np.minimum(box[2:], seen[2:])])


def _visible_keypoints(keypoints: Tensor, hidden: BoolArray) -> Tensor:
    """(G, P, 3) the same, where those that something covers count as hidden."""
    height, width = hidden.shape
    x, y = (keypoints[..., axis].long().clamp(0, side - 1) for axis, side in ((0, width), (1, height)))
    seen, covered = keypoints.clone(), torch.from_numpy(hidden)[y, x]
    seen[..., 2][covered] = seen[..., 2][covered].clamp(max=_HIDDEN_KEYPOINT)
    return seen


# --- both images' objects together ------------------------------------------------------------------------------


def _moved_targets(targets: Targets, shift: Shift, frame: Size) -> Targets:
    """Objects in another frame, which what is seen of them lies in; their keypoints may lie outside."""
    assert targets.masks is not None
    both = torch.tensor(shift * 2)
    masks, keypoints = targets.masks, targets.keypoints
    if keypoints is not None:
        places = keypoints[..., :2] + both[:2]
        inside = ((places >= 0) & (places <= torch.tensor(frame[::-1]))).all(dim=2) & (keypoints[..., 2] > 0)
        keypoints = torch.cat([places, keypoints[..., 2:]], dim=2) * inside[..., None]
    return Targets(
        boxes=targets.boxes + both,
        labels=targets.labels,
        masks=replace(masks, windows=masks.windows + both, image_size=frame),
        crowd_boxes=targets.crowd_boxes + both,
        keypoints=keypoints,
    )


def _joined(first: Targets, second: Targets) -> Targets:
    """The objects of two images in one frame."""
    assert first.masks is not None and second.masks is not None
    keypoints = [own for own in (first.keypoints, second.keypoints) if own is not None]
    return Targets(
        boxes=torch.cat([first.boxes, second.boxes]),
        labels=torch.cat([first.labels, second.labels]),
        masks=_joined_masks(first.masks, second.masks),
        crowd_boxes=torch.cat([first.crowd_boxes, second.crowd_boxes]),
        keypoints=torch.cat(keypoints) if keypoints else None,
    )


def _joined_masks(first: PackedMasks, second: PackedMasks) -> PackedMasks:
    return PackedMasks(
        torch.cat([first.windows, second.windows]),
        torch.cat([first.pixels, second.pixels]),
        torch.cat([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        first.image_size,
    )
