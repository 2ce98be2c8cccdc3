"""What a checkpoint says of its training, for later use of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from maskrcnn.config import Config
from maskrcnn.large.tiling import large_images
from maskrcnn.structures.labels import LabelStore

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def training_summary(
    steps: int, averaged: bool, metrics: Mapping[str, Any], labels: LabelStore, config: Config
) -> dict[str, Any]:
    """JSON-able facts about a training.

    Args:
        steps: done so far.
        averaged: whether the weights are a moving average.
        metrics: of the val split, as in `metrics.json`; empty without one.
        labels: of the train split.
        config: how images become input.

    Returns:
        Beside these, `score_threshold`, that of the best F1 on the val split (None without one), and `object_sizes`.
    """
    return {
        "steps": steps,
        "averaged": averaged,
        "metrics": dict(metrics),
        "score_threshold": best_score_threshold(metrics),
        "object_sizes": object_sizes(labels, config),
    }


def best_score_threshold(metrics: Mapping[str, Any]) -> float | None:
    """The score above which F1 at IoU 0.5 is best, over all classes: of masks, else of keypoints, else of boxes."""
    best = next(iter(metrics.get("best_score_threshold", {}).values()), None)
    return None if best is None else math.floor(best * 10_000 - 1e-9) / 10_000  # just below the last score that counts


def object_sizes(labels: LabelStore, config: Config) -> dict[str, float]:
    """Quantiles of the objects' sizes, by their share: the root of a box's area in pixels of the `input` frame.

    As prediction resizes the images, or tiles of them, without augmentation. Empty without objects.
    """
    sizes, image_of = np.unique(labels.image_sizes.numpy(), axis=0, return_inverse=True)
    large = large_images(config)
    target = [large.input_size((height, width), config.input) for height, width in sizes.tolist()]
    scales = np.sqrt(np.prod(np.reshape(target, (-1, 2)) / sizes, axis=1))[image_of.reshape(-1)]
    boxes = labels.boxes.numpy().astype(np.float64)
    roots = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    own = np.repeat(scales, np.diff(labels.first_object.numpy())) * roots
    kept = own[labels.is_object.numpy()]
    if not len(kept):
        return {}
    return {f"{q:g}": round(float(value), 2) for q, value in zip(QUANTILES, np.quantile(kept, QUANTILES), strict=True)}
