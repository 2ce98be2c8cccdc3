"""What was found in one image: named objects in the pixels of that image. NumPy alone: none of this needs PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.conversions.libraries import data_frame, shapely_geometry, supervision_detections
from maskrcnn.conversions.panoptic import merge_panoptic
from maskrcnn.conversions.stored_values import stored_values
from maskrcnn.conversions.table import object_table
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.detected import DetectedObjects
from maskrcnn.errors import UserError
from maskrcnn.masks.measurements import measure
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.sources import source_pixels
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.structures.panoptic import PanopticMap
from maskrcnn.viz.crops import cut_out
from maskrcnn.viz.drawing import USUAL, Drawing
from maskrcnn.viz.label_maps import name_classes, save_label_map, stuff_alone, tint_classes
from maskrcnn.viz.notebook import notebook_html
from maskrcnn.viz.overlay import draw_overlay, picture_format, save_picture
from maskrcnn.viz.skeletons import Skeletons


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Prediction(DetectedObjects):
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
        limited: in how many passes, of the image or of its tiles, as many objects were found as are looked for: there
            may be more, which a larger `max_detections` finds.
        shrunk: the scale at which the network saw the image, 0.25 for sides of a quarter, where small objects are lost
            by it; `predict_large` finds them, unless the model tells the class of every pixel. None as a rule.
        channels: of the image, and which of them are drawn.
    """

    shrunk: float | None = None
    channels: Channels = RGB

    def image(self) -> ByteArray:
        """(H, W, 3) uint8 RGB pixels of the image; of one of other channels, those that are drawn."""
        return self.channels.picture(self.pixels())

    def pixels(self) -> ByteArray:
        """(H, W, C) uint8 of the image as the model saw it; C is 3, RGB, unless `input.channels` is another number."""
        return source_pixels(self.source, self.channels)

    def values(self) -> npt.NDArray[Any]:
        """(H, W, C) of the image as it is stored, which is what intensities are measured in; C is 1 of grey.

        Of 8 bits these are `pixels()`; numbers of more bits and floats are not stretched.
        """
        return stored_values(self.source, self.channels)

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

    def measurements(self, pixel_size: float = 1.0) -> dict[str, FloatArray]:
        """(D,) area, perimeter, centroid, ... of each mask by name, defined as scikit-image does.

        Intensities are those of `values()`.

        Args:
            pixel_size: the length of a pixel's side in the unit you want; see `masks.measurements.measure`.

        Raises:
            UserError: the model has no mask branch, or the image cannot be read again.
        """
        return measure(self.run_lengths, self.values(), pixel_size)

    def to_dataframe(self, pixel_size: float = 1.0) -> Any:
        """A `pandas.DataFrame` with a row per object: number, class, score, box and measurements."""
        return data_frame(object_table(self, self.values() if self.has_masks else None, pixel_size))

    def to_supervision(self) -> Any:
        """`supervision.Detections`."""
        return supervision_detections(self)

    def to_shapely(self, tolerance: float = 0.0) -> list[Any]:
        """A Shapely geometry per object, valid, with its holes; see `polygons` for the tolerance."""
        return [shapely_geometry(parts) for parts in self.polygons(tolerance)]

    def crops(self, margin: int = 0) -> list[ByteArray]:
        """(h, w, 4) uint8 RGBA of each object, transparent outside its mask, with so many pixels around it."""
        return list(cut_out(self.image(), self.run_lengths if self.has_masks else None, self.boxes, margin))

    def save(self, path: str | PathLike[str], drawing: Drawing = USUAL) -> None:
        """Write the image with outlines, names and scores drawn over it.

        Args:
            path: a PNG, JPEG, WebP, TIFF or BMP file, by its ending.
            drawing: what is drawn, how thick and how large; see `viz.drawing.Drawing`.

        Raises:
            UserError: an unknown ending, the image cannot be read again, or `path` cannot be written.
        """
        picture_format(Path(path))  # before the work, not after it
        save_picture(Path(path), self.overlay(drawing))

    def panoptic(self, score_threshold: float = 0.5) -> PanopticMap:
        """To which object or to which stuff each pixel belongs; see `conversions.panoptic.merge_panoptic`.

        Raises:
            UserError: the model has no mask branch, or does not tell the class of every pixel.
        """
        return merge_panoptic(self, score_threshold=score_threshold)

    @property
    def is_panoptic(self) -> bool:
        """Whether the model finds objects with masks and tells the class of every pixel."""
        return self.semantic is not None and self.has_masks

    def overlay(self, drawing: Drawing = USUAL) -> ByteArray:
        """(H, W, 3) uint8 RGB: the picture that `save` writes; a small image comes enlarged by a whole factor.

        Of a model that tells objects and stuff, stuff is tinted where no object is.
        """
        masks, names, semantic = self.run_lengths if self.has_masks else None, self.categories.names, self.semantic
        if semantic is not None and masks is not None:
            semantic = stuff_alone(semantic, self.categories, masks)
        image = self.image() if semantic is None else tint_classes(self.image(), semantic, len(names))
        objects = (masks, self.boxes, self.labels, self.scores, names, self._skeletons())
        picture = draw_overlay(image, *objects, drawing)
        return picture if semantic is None else name_classes(picture, semantic, names)

    def _repr_html_(self) -> str:
        """The picture, in a notebook."""
        return notebook_html(repr(self), self.counts, self.overlay())

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
