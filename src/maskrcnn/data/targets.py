"""The objects of one image, drawn as a view of it shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from maskrcnn.data.geometry import View, Window
from maskrcnn.masks.polygons import polygon_window, rasterize_polygons
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_crops import crop_rle
from maskrcnn.structures import RLE, KeypointSchema, MaskCrops, PackedMasks, Polygons, Size, Targets
from maskrcnn.structures.labels import LabelStore
from maskrcnn.structures.masks import ByteArray, FloatArray

SLIVER_PIXELS = 2
"""An object the border cuts down to less than this many output pixels in width or height is dropped."""

CUT_PIXELS = 0.5
"""An object whose box reaches this far outside the frame counts as cut by the border."""


@dataclass(frozen=True)
class DrawnMask:
    """A bitmap (h, w) uint8 of 0 and 1, and where it lies: x1, y1, x2, y2 in whole pixels."""

    crop: ByteArray
    window: Window


def draw_targets(labels: LabelStore, image: int, view: View, schema: KeypointSchema | None = None) -> Targets:
    """The ground truth of an image as seen through a view.

    Objects without a pixel left are dropped, and so are slivers. The box of an object that the border cuts is
    tightened to what is left of its mask; others keep their stated box. Ignored objects become `crowd_boxes`; stuff is
    left out. Where an object is known by its box alone, there are no masks.

    Args:
        labels: of the data set.
        image: number of the image.
        view: what is seen of it.
        schema: the keypoints of the classes, to draw these too.
    """
    numbers, frame = labels.objects(image), view.output_size
    part = slice(numbers.start, numbers.stop)
    ignore, wanted = labels.ignore[part].numpy(), labels.are_objects(image).numpy()
    boxes = view.boxes(labels.boxes[part].numpy())
    inside = np.clip(boxes, 0, [frame[1], frame[0]] * 2)
    visible = np.all(inside[:, 2:] > inside[:, :2], axis=1)
    cut = np.abs(boxes - inside).max(axis=1, initial=0) > CUT_PIXELS
    kept, masks = [], []
    for index in np.flatnonzero(visible & wanted).tolist():
        mask = labels.mask(numbers[index], labels.size(image))
        drawn = None if mask is None else draw_mask(mask, view)
        x1, y1, x2, y2 = inside[index] if drawn is None else drawn.window
        if min(x2 - x1, y2 - y1) > 0 and not (cut[index] and min(x2 - x1, y2 - y1) < SLIVER_PIXELS):
            kept.append(index)
            masks.append(drawn)
            if cut[index]:
                inside[index] = x1, y1, x2, y2
    return Targets(
        boxes=_tensor(inside[kept]),
        labels=labels.labels[part][kept],
        masks=None if None in masks else packed([mask for mask in masks if mask is not None], frame),
        crowd_boxes=_tensor(inside[visible & ignore & ~labels.stuff[part].numpy()]),
        keypoints=None if schema is None else draw_keypoints(labels, [numbers[i] for i in kept], view, schema),
    )


def draw_keypoints(labels: LabelStore, objects: Sequence[int], view: View, schema: KeypointSchema) -> torch.Tensor:
    """(G, P, 3) x, y, visibility of some objects as seen through a view, 0 where not labelled or not in the frame."""
    keypoints = np.zeros((len(objects), len(schema), 3))
    for row, number in zip(keypoints, objects, strict=True):
        own = labels.keypoints_of(number)
        if own is not None:
            row[:] = own
    keypoints[..., :2] = view.points(keypoints[..., :2].reshape(-1, 2)).reshape(-1, len(schema), 2)
    height, width = view.output_size
    inside = ((keypoints[..., :2] >= 0) & (keypoints[..., :2] <= [width, height])).all(axis=2)
    keypoints[~inside | (keypoints[..., 2] == 0)] = 0
    return _tensor(keypoints[:, schema.mirrored] if view.mirrored else keypoints)


def draw_mask(mask: Polygons | RLE, view: View) -> DrawnMask:
    """A mask as seen through a view, in the tightest window around what is left of it."""
    if isinstance(mask, RLE):
        window = intersection(rle_window(mask), view.window)
        crop = crop_rle(mask, window)
        return trimmed(*(view.bitmap(crop, window) if crop.size else (crop, window)))
    seen = Polygons(_seen_rings(mask.rings, view))
    window = polygon_window(seen, view.output_size)
    return trimmed(rasterize_polygons(seen, window, view.output_size), window)


def _seen_rings(rings: Sequence[FloatArray], view: View) -> tuple[FloatArray, ...]:
    """Rings as seen through a view: all points at once, since an object may have very many rings."""
    points = view.points(np.concatenate(rings))
    ends = np.cumsum([len(ring) for ring in rings]).tolist()
    return tuple(points[start:end] for start, end in pairwise([0, *ends]))


def packed(masks: Sequence[DrawnMask], frame: Size) -> PackedMasks:
    """Masks that lie in a frame of (height, width), together."""
    crops = MaskCrops.from_crops([mask.crop for mask in masks], [mask.window for mask in masks], frame)
    return PackedMasks.from_crops(crops)


def trimmed(crop: ByteArray, window: Window) -> DrawnMask:
    """A bitmap that lies in `window`, in the tightest window around its ones; of no size without any."""
    rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
    if not len(rows):
        return DrawnMask(crop[:0, :0], (0, 0, 0, 0))
    top, bottom, left, right = (int(v) for v in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    x1, y1 = window[:2]
    return DrawnMask(crop[top:bottom, left:right], (x1 + left, y1 + top, x1 + right, y1 + bottom))


def intersection(a: Window, b: Window) -> Window:
    """The common part, with no width or height where there is none; inside `b`."""
    x1, y1 = min(max(a[0], b[0]), b[2]), min(max(a[1], b[1]), b[3])
    return x1, y1, max(x1, min(a[2], b[2])), max(y1, min(a[3], b[3]))


def _tensor(values: FloatArray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
