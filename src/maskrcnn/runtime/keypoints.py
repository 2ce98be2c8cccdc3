"""From maps to keypoints in NumPy: what `ops.keypoints` does in PyTorch, where the method is explained."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from maskrcnn.structures.masks import Float32Array

_CUBIC = -0.75
"""The free parameter a of Keys' cubic convolution kernel, as PyTorch and OpenCV choose it."""


def decode_keypoints(
    logits: Float32Array, boxes: Float32Array, rule: Literal["detectron2", "torchvision"]
) -> Float32Array:
    """(D, P, 3) x, y, score: where each map is highest once it is enlarged to its box.

    Args:
        logits: (D, P, M, M).
        boxes: (D, 4) x1, y1, x2, y2, in the frame the points are wanted in.
        rule: "detectron2": the score is the peak's probability; "torchvision": its logit.
    """
    found = np.zeros((*logits.shape[:2], 3), np.float32)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    for one, maps, box, side in zip(found, logits, boxes, sides, strict=True):
        width, height = np.ceil(side).astype(int).tolist()
        places, peaks = _highest(maps, width, height)
        one[:, :2] = (places + np.float32(0.5)) * (side / np.array([width, height], np.float32)) + box[:2]
        one[:, 2] = peaks if rule == "torchvision" else np.exp(peaks - _logsumexp(maps))
    return found


def _highest(maps: Float32Array, width: int, height: int) -> tuple[Float32Array, Float32Array]:
    """(P, 2) x, y and (P,) height of the first highest pixel of maps (P, M, M) once they are enlarged."""
    rows = _bicubic_weights(height, maps.shape[1])
    columns = _bicubic_weights(width, maps.shape[2])
    enlarged = (rows @ (maps @ columns.T)).reshape(len(maps), -1)
    peak = enlarged.argmax(axis=1)
    places = np.stack([peak % width, peak // width], axis=1).astype(np.float32)
    return places, np.take_along_axis(enlarged, peak[:, None], 1)[:, 0]


def _logsumexp(maps: Float32Array) -> Float32Array:
    flat = maps.reshape(len(maps), -1)
    most = flat.max(axis=1)
    total: Float32Array = np.log(np.exp(flat - most[:, None]).sum(axis=1)) + most
    return total


def _bicubic_weights(length: int, size: int) -> Float32Array:
    """(length, size) what each of `size` cells adds to each pixel of a line that they are stretched over."""
    position = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(size / length) - np.float32(0.5)
    first = np.floor(position)
    taps = np.arange(-1, 3, dtype=np.float32)
    weights = np.zeros((length, size), np.float32)
    cells = np.clip(first[:, None] + taps, 0, size - 1).astype(np.int64)  # the map goes on as it ends
    np.add.at(weights, (np.arange(length)[:, None], cells), _cubic((position - first)[:, None] - taps))
    return weights


def _cubic(distance: Float32Array) -> Any:
    """Keys' kernel within two cells (Keys 1981, eq. 4, with a = `_CUBIC`)."""
    d = np.abs(distance)
    near = ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1
    far = ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC
    return np.where(d <= 1, near, far)
