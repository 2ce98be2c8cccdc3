"""The rows of what was found in an image, and one of them. NumPy alone: none of this needs PyTorch."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from maskrcnn.errors import UserError
from maskrcnn.masks.label_image import label_image
from maskrcnn.masks.overlap import uncovered
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.paste import Rule, paste_rles
from maskrcnn.masks.polygons import Ring, bitmap_to_polygons
from maskrcnn.masks.rle import decode_rle, rle_area
from maskrcnn.masks.simplification import simplified
from maskrcnn.sources import Source
from maskrcnn.structures import RLE, Categories, Size
from maskrcnn.structures.masks import BoolArray, ByteArray, Float32Array, FloatArray, IntArray
from maskrcnn.text import brief

MASK_THRESHOLD = 0.5
"""A pixel belongs to an object from this probability on (Mask R-CNN section 3.1), unless the model says otherwise."""

Part = tuple[Ring, list[Ring]]
"""The outer ring of a connected part and the rings of its holes, each (n, 2) x, y in continuous pixels."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DetectedObjects:
    """The D objects found in one image, as arrays with a row for each; `Prediction` says what they hold."""

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
    limited: int = 0

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The objects of at least one part of an image's objects, one after the other; masks as run lengths."""
        if len(parts) == 1:
            return parts[0]
        filled = [part for part in parts if len(part)] or parts[:1]
        return replace(
            filled[0],
            boxes=np.concatenate([part.boxes for part in filled]),
            scores=np.concatenate([part.scores for part in filled]),
            labels=np.concatenate([part.labels for part in filled]),
            mask_probs=None,
            given_masks=PackedRLE.concatenate([p.run_lengths for p in filled]) if filled[0].has_masks else None,
            keypoints=_all_keypoints(filled),
            limited=sum(part.limited for part in parts),
        )

    def __post_init__(self) -> None:
        rows = {name: len(part) for name, part in self._rows().items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"prediction: expected one row per object in all arrays, got {rows}")

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        height, width = self.image_size
        source = f" in {self.source}" if isinstance(self.source, str | PathLike) else ""
        return f"{type(self).__name__}({len(self)} objects{source}, {width} x {height} pixels)"

    def __iter__(self) -> Iterator[DetectedObject]:
        return (DetectedObject(self, index) for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> DetectedObject: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | Sequence[bool] | IntArray | BoolArray) -> Self: ...

    def __getitem__(
        self, index: int | slice | Sequence[int] | Sequence[bool] | IntArray | BoolArray
    ) -> DetectedObject | Self:
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

    @property
    def areas(self) -> FloatArray:
        """(D,) pixels of each mask; of the boxes, where the model has no mask branch."""
        if self.has_masks:
            return np.array([rle_area(rle) for rle in self.run_lengths], np.float64)
        sides = (self.boxes[:, 2:] - self.boxes[:, :2]).astype(np.float64)
        return sides[:, 0] * sides[:, 1]

    @property
    def counts(self) -> dict[str, int]:
        """How many objects there are of each class that was found, in the order of the classes."""
        numbers = np.bincount(self.labels, minlength=len(self.categories)).tolist()
        return {name: number for name, number in zip(self.categories.names, numbers, strict=True) if number}

    def filter(
        self,
        name: str | Collection[str] | None = None,
        score: float = 0.0,
        *,
        min_area: float = 0.0,
        max_area: float = math.inf,
        whole: bool = False,
    ) -> Self:
        """The objects that are all of this, in their order.

        Args:
            name: of one of these classes; None: of any.
            score: at least this.
            min_area: at least so many pixels, see `areas`.
            max_area: at most so many.
            whole: their box does not touch the border of the image, which may cut them.

        Raises:
            UserError: no class has this name.
        """
        keep = self.scores >= score
        if name is not None:
            keep &= np.isin(self.labels, self._labels_of({name} if isinstance(name, str) else set(name)))
        if min_area > 0 or max_area < math.inf:
            keep &= (self.areas >= min_area) & (self.areas <= max_area)
        return self[keep & ~self.touches_border] if whole else self[keep]

    def _labels_of(self, names: Collection[str]) -> list[int]:
        known = self.categories.names
        if unknown := sorted(set(names) - set(known)):
            raise UserError(f"class {brief(unknown[0])}: expected one of {brief(list(known))}")
        return [label for label, name in enumerate(known) if name in names]

    @property
    def touches_border(self) -> BoolArray:
        """(D,) whether an object comes within a pixel of the image's border, by its mask where there is one."""
        height, width = self.image_size
        x1, y1, x2, y2 = (self.run_lengths.windows if self.has_masks else self.boxes).T
        near = 0 if self.has_masks else 1
        return np.asarray((x1 <= near) | (y1 <= near) | (x2 >= width - near) | (y2 >= height - near), bool)

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

    def polygons(self, tolerance: float = 0.0) -> list[list[Part]]:
        """The outline of each mask, part by connected part.

        Rings drawn as COCO draws polygons give the mask back, holes left out. With a tolerance they have fewer points,
        and no point left out lies further than so many pixels from its ring.
        """
        return [_outline(self.run_lengths, index, tolerance) for index in range(len(self))]

    def label_image(self) -> npt.NDArray[np.int32]:
        """(H, W) 0 for background, 1 for the first object, ...; the better owns shared pixels, even all of another."""
        return label_image(self.run_lengths)

    def without_covered(self, max_overlap: float) -> Self:
        """The objects of whose pixels at most a share `max_overlap` belongs to better ones of their class.

        See `masks.overlap.uncovered`. Everything stays where there are no masks, or with a share of 1.
        """
        if not self.has_masks or max_overlap >= 1:
            return self
        return self[uncovered(self.run_lengths, self.labels, max_overlap)]


@dataclass(frozen=True, eq=False, repr=False)
class DetectedObject:
    """One object of a prediction: a view of its rows there.

    Attributes:
        prediction: of the whole image.
        index: place there, 0 for the best.
    """

    prediction: DetectedObjects
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
        return rle_area(self.rle) if self.prediction.has_masks else float(np.prod(self.box[2:] - self.box[:2]))

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


def _all_keypoints(parts: Sequence[DetectedObjects]) -> Float32Array | None:
    """Zeros for the objects of a part that has none."""
    shape = next((part.keypoints.shape[1:] for part in parts if part.keypoints is not None), None)
    if shape is None:
        return None
    none = (np.zeros((len(part), *shape), np.float32) for part in parts)
    return np.concatenate([zeros if p.keypoints is None else p.keypoints for p, zeros in zip(parts, none, strict=True)])


def _outline(masks: PackedRLE, index: int, tolerance: float = 0.0) -> list[Part]:
    """The parts of one mask, in pixels of the image."""
    corner = masks.windows[index, :2]
    return [
        (simplified(outer, tolerance) + corner, [simplified(hole, tolerance) + corner for hole in holes])
        for outer, holes in bitmap_to_polygons(masks.crop(index))
    ]
