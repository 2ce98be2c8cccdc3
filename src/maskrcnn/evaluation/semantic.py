"""How well every pixel's class was told: the four numbers of Long et al. 2015, section 5."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.structures.masks import ByteArray, FloatArray, IntArray
from maskrcnn.structures.semantic import IGNORED


@dataclass(frozen=True)
class PixelClass:
    """The numbers of one class.

    Attributes:
        num_pixels: t_i, that are of this class.
        accuracy: n_ii / t_i.
        iou: n_ii / (t_i + sum_j n_ji - n_ii).
    """

    name: str
    num_pixels: int
    accuracy: float
    iou: float


@dataclass(frozen=True)
class SemanticMetrics:
    """The numbers of a data set; NaN where there is nothing to compute one from.

    Attributes:
        pixel_accuracy: sum_i n_ii / sum_i t_i.
        mean_accuracy: the mean over classes of n_ii / t_i, those with pixels.
        mean_iou: the mean over classes of n_ii / (t_i + sum_j n_ji - n_ii), those with pixels or predictions that the
            data set has.
        frequency_weighted_iou: sum_i t_i IoU_i / sum_i t_i.
        classes: in their order, background last.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    classes: tuple[PixelClass, ...]

    @property
    def summary(self) -> dict[str, float]:
        """The four numbers by the names they are printed with."""
        return {
            "mIoU": self.mean_iou,
            "pixel accuracy": self.pixel_accuracy,
            "mean accuracy": self.mean_accuracy,
            "weighted IoU": self.frequency_weighted_iou,
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; null for what could not be computed."""
        rows = [
            {"name": c.name, "num_pixels": c.num_pixels, "IoU": c.iou, "accuracy": c.accuracy} for c in self.classes
        ]
        numbers = {name.replace(" ", "_"): value for name, value in self.summary.items()}
        return {**_jsonable(numbers), "per_class": [_jsonable(row) for row in rows]}


class Confusion:
    """n_ij: how many pixels of class i were said to be of class j; image after image is added.

    Args:
        names: of the K classes; background is added as the last.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = (*names, "background")
        self.counts: IntArray = np.zeros((len(self.names),) * 2, np.int64)

    def add(self, truth: ByteArray, found: ByteArray) -> None:
        """Count two label maps (H, W) of an image; pixels whose true class is `IGNORED` do not count."""
        known = truth != IGNORED
        pairs = truth[known].astype(np.int64) * len(self.names) + found[known]
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)

    def metrics(self, not_in_data: Sequence[int] = ()) -> SemanticMetrics:
        """What the counts come to.

        Args:
            not_in_data: places in `names` of classes that the labels cannot name: without IoU, they are in no mean. A
                pixel that was said to be of one is wrong for its true class alone.
        """
        right, true, found = self.counts.diagonal(), self.counts.sum(axis=1), self.counts.sum(axis=0)
        accuracy, iou = _ratios(right, true), _ratios(right, true + found - right)
        iou[list(not_in_data)] = math.nan
        rows = zip(self.names, true.tolist(), accuracy.tolist(), iou.tolist(), strict=True)
        return SemanticMetrics(
            pixel_accuracy=float(_ratios(right.sum(), true.sum())),
            mean_accuracy=_mean(accuracy),
            mean_iou=_mean(iou),
            frequency_weighted_iou=float(_ratios(np.nansum(true * iou), true.sum())),
            classes=tuple(PixelClass(*row) for row in rows),
        )


def _ratios(numerators: Any, denominators: Any) -> FloatArray:
    """NaN over zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.true_divide(numerators, denominators), np.float64)


def _mean(values: FloatArray) -> float:
    """Of what could be computed."""
    computed = values[np.isfinite(values)]
    return float(computed.mean()) if len(computed) else math.nan


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
