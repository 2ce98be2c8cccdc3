"""Objects from the class of every pixel: the connected parts of each class."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.model import Model
from maskrcnn.prediction import Prediction
from maskrcnn.sources import read_source
from maskrcnn.structures import RLE, Categories, Size
from maskrcnn.structures.masks import ByteArray, Float32Array
from maskrcnn.structures.semantic import IGNORED

CONNECTIVITY = 4
"""Pixels that share an edge belong together; those that share a corner alone do not."""

LEAST_PIXELS = 20
"""Smaller parts are dropped."""


@dataclass(frozen=True)
class Component:
    """One object: its class, score, box x1, y1, x2, y2 and mask."""

    label: int
    score: float
    box: tuple[int, int, int, int]
    mask: RLE


def components(label_map: ByteArray, probabilities: Float32Array | None, num_classes: int) -> list[Component]:
    """The connected parts of each class, best score first.

    Args:
        label_map: (H, W) the class of every pixel, `num_classes` for background; `IGNORED` belongs to nothing.
        probabilities: (num_classes, H, W); the score of a part is the mean of its class's over its pixels. None: all 1.
        num_classes: K.
    """
    found = []
    for label in np.setdiff1d(np.unique(label_map), (num_classes, IGNORED)).tolist():
        ones = (label_map == label).view(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(ones, connectivity=CONNECTIVITY)
        for number in range(1, count):
            x, y, width, height, area = stats[number].tolist()
            if area < LEAST_PIXELS:
                continue
            window = np.s_[y : y + height, x : x + width]
            inside = parts[window] == number
            score = 1.0 if probabilities is None else float(probabilities[label][window][inside].mean())
            mask = np.zeros(label_map.shape, np.uint8)
            mask[window] = inside
            found.append(Component(label, score, (x, y, x + width, y + height), encode_rle(mask)))
    return sorted(found, key=lambda part: -part.score)


def as_prediction(parts: list[Component], size: Size, categories: Categories) -> Prediction:
    """Parts of an image as its objects, so that everything behind treats them as any others."""
    return Prediction(
        boxes=np.array([part.box for part in parts], np.float32).reshape(-1, 4),
        scores=np.array([part.score for part in parts], np.float32),
        labels=np.array([part.label for part in parts], np.int64),
        image_size=size,
        categories=categories,
        source="",
        given_masks=PackedRLE.from_rles([part.mask for part in parts], size),
    )


@torch.inference_mode()
def class_probabilities(model: Model, picture: ByteArray) -> Float32Array:
    """(K + 1, H, W) softmax over classes and background at each pixel, bilinear between the cells of the logits."""
    batch = model.network.preprocess.prepare([read_source(picture)])
    head = model.network.dense_branches["semantic_head"]
    (logits,) = head(model.network.backbone(batch.pixels))
    (height, width), original = batch.sizes[0], batch.original_sizes[0]
    fine = F.interpolate(logits[None], scale_factor=head.stride, mode="bilinear", align_corners=False)
    fine = F.interpolate(fine[..., :height, :width], original, mode="bilinear", align_corners=False)
    return np.asarray(fine[0].softmax(0).numpy())


def objects_of_pixels(model: Model, picture: ByteArray) -> Prediction:
    """What an FCN and connected parts find in an image."""
    prediction = model.predict(picture)
    assert prediction.semantic is not None
    parts = components(prediction.semantic, class_probabilities(model, picture), len(model.categories))
    return as_prediction(parts, prediction.image_size, model.categories)
