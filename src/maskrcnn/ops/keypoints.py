"""Keypoints: from a point in a box to a cell of an m x m map, the loss over its cells, and back to a point.

Each keypoint is a one-hot m x m map (Mask R-CNN section 5, "Implementation Details"): learning it is to choose one of
m^2 cells. To find the point again, the map is enlarged to the box's own pixels, so that it is not m cells coarse.

Shapes: R RoIs, D detections, P keypoints, M side of the maps. A point is x, y, and a third number that says how far to
trust it: in ground truth the visibility (0: not labelled, 1: hidden, 2: seen), in predictions a score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ops.counts import divisor
from maskrcnn.ways import Ways

KeypointRule = Literal["detectron2", "torchvision"]

# --- ground truth -> cells --------------------------------------------------------------------------------------


def encode_keypoints(keypoints: Tensor, boxes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The cell each keypoint falls into, of a grid over its own RoI.

    Args:
        keypoints: (R, P, 3) x, y, visibility, in the boxes' frame.
        boxes: (R, 4) RoIs x1, y1, x2, y2.
        size: rows and columns of cells, M of each as a rule.

    Returns:
        (R, P) int64 cells y * columns + x, and (R, P) bool whether there is one: the keypoint is labelled and inside
        the RoI. A point on the right or bottom edge belongs to the last cell (Detectron's rule); without one it is 0.
    """
    y = _cells_along(keypoints[..., 1], boxes[:, None, 1::2], size[0])
    x = _cells_along(keypoints[..., 0], boxes[:, None, 0::2], size[1])
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])  # False for the NaN of an empty box
    valid = inside & (keypoints[..., 2] > 0)
    return torch.where(valid, y * size[1] + x, 0).to(torch.int64), valid


def _cells_along(points: Tensor, extents: Tensor, size: int) -> Tensor:
    """(R, P) in which of `size` cells points lie along one axis of boxes that reach from one place to another."""
    start, stop = extents.unbind(dim=-1)
    position = ((points - start) * (size / (stop - start))).floor()
    return torch.where(points == stop, size - 1, position)


def keypoint_loss(logits: Tensor, cells: Tensor, valid: Tensor) -> Tensor:
    """Softmax cross-entropy over the M^2 cells, averaged over the visible keypoints; 0 if there is none.

    Args:
        logits: (R, P, M, M).
        cells: (R, P), as `encode_keypoints` gives them.
        valid: (R, P), the same.
    """
    chosen = logits.flatten(2)[valid]  # (V, M M)
    return F.cross_entropy(chosen, cells[valid], reduction="sum") / divisor(chosen.shape[0])


# --- maps -> points ---------------------------------------------------------------------------------------------


def decode_reference(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, box by box: (D, P, 2) points, and (D, P) heights of their peaks."""
    points, peaks = logits.new_zeros((*logits.shape[:2], 2)), logits.new_zeros(logits.shape[:2])
    sides, pixels = _pixels(boxes)
    for d, (width, height) in enumerate(pixels.tolist()):
        enlarged = F.interpolate(logits[d : d + 1], (height, width), mode="bicubic", align_corners=False)[0]
        peaks[d], place = enlarged.flatten(1).max(dim=1)
        points[d] = torch.stack([place % width, place // width], dim=-1)
    return _in_frame(points, boxes, sides, pixels), peaks


def decode_separable(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The same as two matrix products per box, many boxes of similar size at once."""
    places, peaks = logits.new_zeros((*logits.shape[:2], 2)), logits.new_zeros(logits.shape[:2])
    sides, pixels = _pixels(boxes)
    for members, (width, height) in _groups(pixels, logits.shape[1]):
        x_weights = _bicubic_weights(pixels[members, 0], width, logits.shape[-1])
        y_weights = _bicubic_weights(pixels[members, 1], height, logits.shape[-2])
        for own in torch.arange(logits.shape[1]).split(max(_MAX_PIXELS // (members.shape[0] * width * height), 1)):
            rows = members[:, None], own.to(members.device)
            places[rows], peaks[rows] = _highest(logits[rows], x_weights, y_weights)
    last = (pixels - 1).to(places.dtype)  # in a group of unlike sizes, what is beyond is the last pixel again
    return _in_frame(torch.minimum(places, last[:, None]), boxes, sides, pixels), peaks


def _highest(maps: Tensor, x_weights: Tensor, y_weights: Tensor) -> tuple[Tensor, Tensor]:
    """(n, p, 2) x, y and (n, p) height of the first highest pixel of maps (n, p, M, M) once they are enlarged."""
    count, num_maps, size, _ = maps.shape
    wide = maps.flatten(1, 2) @ x_weights.transpose(1, 2)  # (n, p M, W)
    wide = wide.view(count, num_maps, size, -1).transpose(1, 2)  # (n, M, p, W)
    enlarged = (y_weights @ wide.flatten(2)).view(count, -1, num_maps, wide.shape[-1])  # (n, H, p, W)
    peaks, y = enlarged.amax(dim=3).max(dim=1)  # the place is then sought in one row only
    line = enlarged.gather(1, y[:, None, :, None].expand(-1, 1, -1, enlarged.shape[-1]))[:, 0]
    return torch.stack([line.argmax(dim=2), y], dim=-1).to(maps.dtype), peaks


def _pixels(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(D, 2) width and height, at least 1, and the whole pixels that they need."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    return sides, sides.ceil().to(torch.int64)


def _in_frame(places: Tensor, boxes: Tensor, sides: Tensor, pixels: Tensor) -> Tensor:
    """(D, P, 2) points in the boxes' frame, of pixels of enlarged maps: their centres, on the box's true scale."""
    return (places + 0.5) * (sides / pixels)[:, None] + boxes[:, None, :2]


_MAX_PIXELS = 1 << 22
"""Pixels of enlarged maps (float32) that are held at once: 16 MiB, or one map."""


def _groups(pixels: Tensor, num_keypoints: int) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Boxes (n,) int64 of similar size, and the width and height that hold each of them.

    Similar: equal when rounded up to a power of two.
    """
    kinds, kind_of_box = pixels.double().log2().ceil().unique(dim=0, return_inverse=True)
    for kind in range(kinds.shape[0]):
        members = (kind_of_box == kind).nonzero()[:, 0]
        width, height = pixels[members].amax(dim=0).tolist()
        for part in members.split(max(_MAX_PIXELS // (num_keypoints * width * height), 1)):
            yield part, (width, height)


_CUBIC = -0.75
"""The free parameter a of Keys' cubic convolution kernel, as PyTorch and OpenCV choose it."""


def _bicubic_weights(counts: Tensor, length: int, size: int) -> Tensor:
    """(n, length, size) what each of `size` cells adds to each pixel of a line that they are stretched over.

    Args:
        counts: (n,) pixels of each line; what is beyond them is the last one again.
        length: of the longest.
        size: M.
    """
    pixel = torch.minimum(torch.arange(length, device=counts.device), counts[:, None] - 1)
    position = (pixel + 0.5) * (size / counts[:, None].float()) - 0.5
    first = position.floor()
    tap = torch.arange(-1, 3, device=counts.device)
    weights = _cubic((position - first)[..., None] - tap)  # (n, length, 4)
    cells = (first[..., None] + tap).clamp(0, size - 1).to(torch.int64)  # the map goes on as it ends
    return weights.new_zeros((counts.shape[0], length, size)).scatter_add_(2, cells, weights)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' kernel within two cells (Keys 1981, eq. 4, with a = `_CUBIC`)."""
    d = distance.abs()
    near = ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1
    far = ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC
    return torch.where(d <= 1, near, far)


DECODE: Ways[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = Ways(
    reference=decode_reference, separable=decode_separable
)


def _peak_probability(peaks: Tensor, logits: Tensor) -> Tensor:
    """The softmax over the M^2 cells, at the peak of the enlarged map: comparable between boxes of unlike sizes."""
    return (peaks - logits.flatten(2).logsumexp(dim=2)).exp()


def _peak_logit(peaks: Tensor, logits: Tensor) -> Tensor:
    return peaks


SCORES: dict[KeypointRule, Callable[[Tensor, Tensor], Tensor]] = {
    "detectron2": _peak_probability,
    "torchvision": _peak_logit,
}


def decode_keypoints(logits: Tensor, boxes: Tensor, rule: KeypointRule = "detectron2") -> Tensor:
    """(D, P, 3) float32 x, y, score: where each map is highest once it is as large as its box (Detectron's way).

    A map is enlarged bicubically to the box's width and height, rounded up to whole pixels, at least 1. The centre of
    the highest pixel is the point, scaled back by what the rounding added.

    Args:
        logits: (D, P, M, M).
        boxes: (D, 4) x1, y1, x2, y2, in the frame the points are wanted in; finite.
        rule: what the score is. "detectron2": the peak's probability, about 0 to 1. "torchvision": the peak's logit.
    """
    with torch.autocast(boxes.device.type, enabled=False):  # bf16 would move the peaks
        logits, boxes = logits.float(), boxes.float()
        points, peaks = DECODE.choose("separable")(logits, boxes)
        return torch.cat([points, SCORES[rule](peaks, logits)[..., None]], dim=2)
