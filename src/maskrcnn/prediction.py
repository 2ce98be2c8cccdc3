"""What was found in one image: named objects in the pixels of that image."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.masks.paste import PastedMasks, Rule, paste_mask_crop, paste_rles, paste_windows
from maskrcnn.masks.polygons import Ring, bitmap_to_polygons
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.sources import Source, source_pixels
from maskrcnn.structures import RLE, Categories, Detections, MaskCrops
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.overlay import draw_overlay, picture_format, save_picture
from maskrcnn.viz.skeletons import Skeletons

MASK_THRESHOLD = 0.5
"""A pixel belongs to an object from this probability on (Mask R-CNN section 3.1)."""

Part = tuple[Ring, list[Ring]]
"""The outer ring of a connected part and the rings of its holes, each (n, 2) x, y in continuous pixels."""


@dataclass(frozen=True, repr=False, kw_only=True)
class Prediction(Detections):
    """The objects found in one image, with names, and the image itself within reach.

    Small: masks stay `mask_probs`, and an image that came as a file is read again when it is needed.

    Attributes:
        categories: the model's classes.
        source: the image as it was given.
        paste: how masks become pixels, one of `masks.paste.RULES`.
    """

    categories: Categories
    source: Source
    paste: Rule = "exact"

    def __repr__(self) -> str:
        height, width = self.image_size
        source = f" in {self.source}" if isinstance(self.source, str | PathLike) else ""
        return f"Prediction({len(self)} objects{source}, {width} x {height} pixels)"

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [self.categories.names[label] for label in self.labels.tolist()]

    def image(self) -> ByteArray:
        """(H, W, 3) uint8 RGB pixels of the image."""
        return source_pixels(self.source)

    def crops(self) -> MaskCrops:
        """The binary masks, each stored only inside its own window.

        Raises:
            UserError: the model has no mask branch; so do the other methods that need masks.
        """
        return paste_mask_crop(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)

    def masks(self) -> Tensor:
        """(D, H, W) bool masks; they need D x H x W bytes, `crops` and `rle` need far less."""
        pasted = self._pasted()
        frames = torch.zeros((len(self), *self.image_size), dtype=torch.bool)
        for index, (x1, y1, x2, y2) in enumerate(pasted.windows.tolist()):
            frames[index, y1:y2, x1:x2] = pasted.crop(index)
        return frames

    def rle(self) -> list[RLE]:
        """COCO run lengths of each mask; only one is unpacked at a time."""
        return paste_rles(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)

    def polygons(self) -> list[list[Part]]:
        """The outline of each mask, part by connected part."""
        windows = paste_windows(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)
        return [_moved(bitmap_to_polygons(crop), window[:2]) for crop, window in windows]

    def to_coco(self, image_id: int = 0) -> list[dict[str, Any]]:
        """COCO results: per object category, box (x, y, width, height), score, mask as compressed RLE, and keypoints.

        Keypoints are x, y, score for each, in COCO's coordinates: the number of the pixel.
        """
        corners, sizes = self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]
        results: list[dict[str, Any]] = [
            {
                "image_id": image_id,
                "category_id": self.categories.ids[label],
                "category_name": self.categories.names[label],
                "bbox": [round(value, 3) for value in bbox],
                "score": score,
            }
            for label, bbox, score in zip(
                self.labels.tolist(), torch.cat([corners, sizes], 1).tolist(), self.scores.tolist(), strict=True
            )
        ]
        if self.mask_probs is not None:
            for result, rle in zip(results, self.rle(), strict=True):
                result["segmentation"] = rle_to_coco(rle)
        if self.keypoints is not None:
            shift = self.keypoints.new_tensor([PIXEL_CENTRE, PIXEL_CENTRE, 0])
            for result, label, rows in zip(results, self.labels.tolist(), self.keypoints - shift, strict=True):
                if self.categories.has_keypoints(label):
                    result["keypoints"] = [round(value, 3) for value in rows.flatten().tolist()]
        return results

    def save(self, path: str | PathLike[str]) -> None:
        """Write the image with outlines, names and scores drawn over it.

        Args:
            path: a PNG, JPEG, WebP, TIFF or BMP file, by its ending.

        Raises:
            UserError: an unknown ending, the image cannot be read again, or `path` cannot be written.
        """
        picture_format(Path(path))  # before the work, not after it
        save_picture(Path(path), self.overlay())

    def overlay(self) -> ByteArray:
        """(H, W, 3) uint8 RGB: the picture that `save` writes; a small image comes enlarged by a whole factor."""
        masks = None if self.mask_probs is None else self._pasted()
        return draw_overlay(
            self.image(), masks, self.boxes, self.labels, self.scores, self.categories.names, self._skeletons()
        )

    def _skeletons(self) -> Skeletons | None:
        """None without keypoints; those of classes without any score nothing."""
        if self.keypoints is None or self.categories.keypoints is None:
            return None
        has_keypoints = [self.categories.has_keypoints(label) for label in self.labels.tolist()]
        counted = self.keypoints.new_tensor(has_keypoints)[:, None, None]
        return Skeletons(self.keypoints * counted, self.categories.keypoints.skeleton)

    def _pasted(self) -> PastedMasks:
        return PastedMasks(self._require_masks(), self.boxes, self.image_size, MASK_THRESHOLD, self.paste)

    def _require_masks(self) -> Tensor:
        if self.mask_probs is None:
            raise UserError("this model has no mask branch (mask_head.enabled is false), so there are no masks")
        return self.mask_probs


def _moved(parts: list[Part], offset: tuple[int, int]) -> list[Part]:
    return [(outer + np.array(offset), [hole + np.array(offset) for hole in holes]) for outer, holes in parts]
