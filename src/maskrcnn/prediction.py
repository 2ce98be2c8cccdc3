"""What was found in one image: named objects in the pixels of that image. NumPy alone: none of this needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, overload

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.masks.overlap import uncovered
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.paste import Rule, paste_rles
from maskrcnn.masks.polygons import Ring, bitmap_to_polygons
from maskrcnn.masks.rle import decode_rle, rle_area
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.sources import Source, source_pixels
from maskrcnn.structures import RLE, Categories, Size
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import BoolArray, ByteArray, Float32Array, IntArray
from maskrcnn.viz.label_maps import name_classes, save_label_map, tint_classes
from maskrcnn.viz.overlay import draw_overlay, picture_format, save_picture
from maskrcnn.viz.skeletons import Skeletons

MASK_THRESHOLD = 0.5
"""A pixel belongs to an object from this probability on (Mask R-CNN section 3.1), unless the model says otherwise."""

Part = tuple[Ring, list[Ring]]
"""The outer ring of a connected part and the rings of its holes, each (n, 2) x, y in continuous pixels."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Prediction:
    """The D objects found in one image, best score first; boxes and keypoints in pixels of the image as it was read.

    >>> for found in prediction:
    ...     print(found.name, found.score, found.box, found.area)

    `prediction[0]` is an object; a slice, a boolean (D,) array or an array of indices gives the `Prediction` of these.
    Small: no mask lies there as a bitmap, and an image that came as a file is read again when it is needed.

    Attributes:
        boxes: (D, 4) float32 x1, y1, x2, y2, continuous pixels.
        scores: (D,) float32 class probabilities.
        labels: (D,) int64 in 0..K-1, places in `categories`.
        image_size: (height, width) of the image.
        categories: the model's K classes.
        source: the image as it was given.
        mask_probs: (D, M, M) float32 probabilities relative to the box; None without a mask branch.
        given_masks: masks that are decided already, such as imported ones; they count instead of `mask_probs`.
        keypoints: (D, P, 3) float32 x, y, score; None without a keypoint branch.
        paste: how probabilities become pixels, one of `masks.paste.RULES`.
        mask_threshold: from which probability on a pixel belongs to an object.
        semantic: (H, W) uint8 the class of every pixel, K for background; None without a branch that tells it.
    """

    boxes: Float32Array
    scores: Float32Array
    labels: IntArray
    image_size: Size
    categories: Categories
    source: Source
    mask_probs: Float32Array | None = None
    given_masks: PackedRLE | None = None
    keypoints: Float32Array | None = None
    paste: Rule = "exact"
    mask_threshold: float = MASK_THRESHOLD
    semantic: ByteArray | None = None

    def __post_init__(self) -> None:
        rows = {name: len(part) for name, part in self._rows().items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"prediction: expected one row per object in all arrays, got {rows}")

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        height, width = self.image_size
        source = f" in {self.source}" if isinstance(self.source, str | PathLike) else ""
        return f"Prediction({len(self)} objects{source}, {width} x {height} pixels)"

    def __iter__(self) -> Iterator[DetectedObject]:
        return (DetectedObject(self, index) for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> DetectedObject: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | Sequence[bool] | IntArray | BoolArray) -> Prediction: ...

    def __getitem__(
        self, index: int | slice | Sequence[int] | Sequence[bool] | IntArray | BoolArray
    ) -> DetectedObject | Prediction:
        if isinstance(index, int | np.integer):
            return DetectedObject(self, range(len(self))[index])
        wanted = index if isinstance(index, slice) or len(index) else slice(0)
        picked = np.arange(len(self))[wanted if isinstance(wanted, slice) else np.asarray(wanted)]
        rows: dict[str, Any] = {name: part[picked] for name, part in self._rows().items()}
        if "run_lengths" in vars(self):  # what has been decided is not decided again
            rows["given_masks"] = self.run_lengths[picked]
        return replace(self, **rows)

    def _rows(self) -> dict[str, Any]:
        """The parts that have a row per object."""
        names = ("boxes", "scores", "labels", "mask_probs", "given_masks", "keypoints")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [self.categories.names[label] for label in self.labels.tolist()]

    def image(self) -> ByteArray:
        """(H, W, 3) uint8 RGB pixels of the image."""
        return source_pixels(self.source)

    @property
    def has_masks(self) -> bool:
        """Whether the objects have masks."""
        return self.mask_probs is not None or self.given_masks is not None

    @cached_property
    def run_lengths(self) -> PackedRLE:
        """The masks, packed: each is pasted once, when the first of them is asked for, and kept as run lengths.

        Raises:
            UserError: the model has no mask branch; so do the other methods that need masks.
        """
        if self.given_masks is not None:
            return self.given_masks
        if self.mask_probs is None:
            raise UserError("this model has no mask branch (mask_head.enabled is false), so there are no masks")
        rles = paste_rles(self.mask_probs, self.boxes, self.image_size, self.mask_threshold, self.paste)
        return PackedRLE.from_rles(rles, self.image_size)

    def masks(self) -> BoolArray:
        """(D, H, W) bool masks; they need D x H x W bytes, `rle` needs far less."""
        masks = self.run_lengths
        frames = np.zeros((len(self), *self.image_size), bool)
        for index, (x1, y1, x2, y2) in enumerate(masks.windows.tolist()):
            frames[index, y1:y2, x1:x2] = masks.crop(index)
        return frames

    def rle(self) -> list[RLE]:
        """COCO run lengths of each mask."""
        return list(self.run_lengths)

    def polygons(self) -> list[list[Part]]:
        """The outline of each mask, part by connected part."""
        return [_outline(self.run_lengths, index) for index in range(len(self))]

    def without_covered(self, max_overlap: float) -> Prediction:
        """The objects of whose pixels at most a share `max_overlap` belongs to better ones of their class.

        See `masks.overlap.uncovered`. Everything stays where there are no masks, or with a share of 1.
        """
        if not self.has_masks or max_overlap >= 1:
            return self
        return self[uncovered(self.run_lengths, self.labels, max_overlap)]

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
                self.labels.tolist(), np.hstack([corners, sizes]).tolist(), self.scores.tolist(), strict=True
            )
        ]
        if self.has_masks:
            for result, rle in zip(results, self.run_lengths, strict=True):
                result["segmentation"] = rle_to_coco(rle)
        if self.keypoints is not None:
            shift = np.array([PIXEL_CENTRE, PIXEL_CENTRE, 0], np.float32)
            for result, label, rows in zip(results, self.labels.tolist(), self.keypoints - shift, strict=True):
                if self.categories.has_keypoints(label):
                    result["keypoints"] = [round(value, 3) for value in rows.ravel().tolist()]
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
        masks, names, semantic = self.run_lengths if self.has_masks else None, self.categories.names, self.semantic
        image = self.image() if semantic is None else tint_classes(self.image(), semantic, len(names))
        picture = draw_overlay(image, masks, self.boxes, self.labels, self.scores, names, self._skeletons())
        return picture if semantic is None else name_classes(picture, semantic, names)

    def save_label_map(self, path: str | PathLike[str]) -> None:
        """Write `semantic` as a PNG whose values are the classes, with a palette to look at it.

        Raises:
            UserError: the model does not tell the class of every pixel, or `path` cannot be written.
        """
        if self.semantic is None:
            raise UserError("this model does not tell the class of every pixel (semantic_head.enabled is false)")
        save_label_map(Path(path), self.semantic, len(self.categories))

    def _skeletons(self) -> Skeletons | None:
        """None without keypoints; those of classes without any score nothing."""
        if self.keypoints is None or self.categories.keypoints is None:
            return None
        counted = np.array([self.categories.has_keypoints(label) for label in self.labels.tolist()], np.float32)
        return Skeletons(self.keypoints * counted[:, None, None], self.categories.keypoints.skeleton)


@dataclass(frozen=True, eq=False, repr=False)
class DetectedObject:
    """One object of a prediction: a view of its rows there.

    Attributes:
        prediction: of the whole image.
        index: place there, 0 for the best.
    """

    prediction: Prediction
    index: int

    def __repr__(self) -> str:
        x1, y1, x2, y2 = self.box.tolist()
        return f"DetectedObject({self.name}, score {self.score:.3f}, box {x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f})"

    @property
    def name(self) -> str:
        """Of its class."""
        return self.prediction.categories.names[self.label]

    @property
    def label(self) -> int:
        """Of its class, 0..K-1."""
        return int(self.prediction.labels[self.index])

    @property
    def score(self) -> float:
        """The probability of its class."""
        return float(self.prediction.scores[self.index])

    @property
    def box(self) -> Float32Array:
        """(4,) x1, y1, x2, y2 in continuous pixels."""
        return np.asarray(self.prediction.boxes[self.index])

    @property
    def area(self) -> float:
        """Pixels of its mask; of its box, where the model has no mask branch."""
        if self.prediction.has_masks:
            return rle_area(self.rle)
        return float(np.prod(self.box[2:] - self.box[:2]))

    @property
    def mask(self) -> BoolArray:
        """(H, W) bool, all pixels of the image."""
        return decode_rle(self.rle).view(bool)

    @property
    def rle(self) -> RLE:
        """Its mask as COCO run lengths; raises `UserError` where the model has no mask branch."""
        return self.prediction.run_lengths.rle(self.index)

    @property
    def polygons(self) -> list[Part]:
        """The outline of its mask, part by connected part."""
        return _outline(self.prediction.run_lengths, self.index)

    @property
    def keypoints(self) -> Float32Array | None:
        """(P, 3) x, y, score; None without a keypoint branch."""
        return None if self.prediction.keypoints is None else self.prediction.keypoints[self.index]


def _outline(masks: PackedRLE, index: int) -> list[Part]:
    """The parts of one mask, in pixels of the image."""
    corner = masks.windows[index, :2]
    parts = bitmap_to_polygons(masks.crop(index))
    return [(outer + corner, [hole + corner for hole in holes]) for outer, holes in parts]
