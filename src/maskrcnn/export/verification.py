"""Is what was exported the same model? Images of many sizes, through both, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.preprocess import Preprocess
from maskrcnn.prediction import Prediction
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.runtime.preprocess import Preprocess as RuntimePreprocess
from maskrcnn.structures import Detections, Size
from maskrcnn.structures.masks import ByteArray

SHAPES: tuple[Size, ...] = ((64, 96), (128, 128), (33, 47), (160, 96), (200, 320), (320, 192))
"""(height, width) in pixels."""
BATCHES = (1, 2, 3)
KINDS = ("objects", "blank", "mixed")

LIMITS = {"pixels": 1e-5, "box": 0.01, "score": 1e-4, "mask": 1e-3, "keypoint": 0.01, "label": 1e-3}
"""The largest differences: of the network's input, pixels of a box, scores, mask probabilities, the share of keypoints
that lie elsewhere, the share of pixels that have another class."""
MOST_STRAYS = 0.005
"""The share of objects that one side alone has: NMS may decide an overlap at its threshold either way."""


@dataclass
class Differences:
    """The largest that were seen, and how many objects were compared.

    Attributes:
        worst: by the names of `LIMITS`.
        objects: of the network.
        strays: that one side alone has.
    """

    worst: dict[str, float] = field(default_factory=dict)
    objects: int = 0
    strays: int = 0

    def note(self, name: str, value: float) -> None:
        """Keep the largest."""
        self.worst[name] = max(self.worst.get(name, 0.0), float(value))

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {value:.1e}" for name, value in self.worst.items())
        return f"{self.objects} objects, {self.strays} on one side alone; largest differences: {parts}"

    def to_json(self) -> dict[str, Any]:
        """For the file's metadata."""
        return asdict(self)

    def require_small(self) -> None:
        """Raise a `UserError` where the exported model is another one."""
        over = [
            f"{name} {value:.1e} (at most {LIMITS[name]:g})"
            for name, value in self.worst.items()
            if not value <= LIMITS[name]
        ]
        if self.strays > MOST_STRAYS * self.objects:
            over.append(f"{self.strays} of {self.objects} objects on one side alone")
        if over:
            raise UserError(f"the exported graph differs from the network: {', '.join(over)}; nothing was written")


def verify(network: MaskRCNN, exported: ExportedModel) -> Differences:
    """Compare a network with what was exported from it, on `SHAPES` x `BATCHES` x `KINDS`.

    Args:
        network: on the CPU, in eval mode.
        exported: the graph in an engine.
    """
    differences = Differences()
    _compare_preprocessing(network, exported, differences)
    theirs, ours = _without_resizing(network, exported)
    threshold = _telling_threshold(theirs, exported.config)
    for images in batches(exported.config.input.channels):
        expected = theirs.predict([_tensor(image) for image in images], score_threshold=threshold)
        found = ours.predict_pass(images, images, None, threshold, None)
        for one, other in zip(expected, found, strict=True):
            compare(one, other, differences)
    return differences


def batches(channels: int = 3) -> Iterator[list[ByteArray]]:
    """Pictures of shapes and blank ones, several sizes in a batch."""
    for (height, width), number, kind in product(SHAPES, BATCHES, KINDS):
        sizes = [(max(height - 9 * i, 16), max(width - 13 * i, 16)) for i in range(number)]
        blank = [kind == "blank" or (kind == "mixed" and i % 2 == 0) for i in range(number)]
        yield [
            _picture(size, i, channels, blank=empty) for i, (size, empty) in enumerate(zip(sizes, blank, strict=True))
        ]


def _picture(size: Size, seed: int, channels: int, *, blank: bool) -> ByteArray:
    """Bright ellipses on dark noise, or one grey."""
    if blank:
        return np.full((*size, channels), 200, np.uint8)
    rng = np.random.default_rng([*size, seed])
    y, x = np.ogrid[: size[0], : size[1]]
    picture = rng.integers(0, 60, (*size, channels)).astype(np.uint8)
    for _ in range(12):
        centre, radii = rng.random(2) * size, 4 + rng.random(2) * np.array(size) / 6
        inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1
        picture[inside] = rng.integers(90, 256, channels)
    return picture


def _compare_preprocessing(network: MaskRCNN, exported: ExportedModel, differences: Differences) -> None:
    for size in ((90, 140), (1500, 1100)):  # enlarged as a rule, and made smaller
        image = _picture(size, 0, exported.config.input.channels, blank=False)
        expected, found = network.preprocess.prepare([_tensor(image)]), exported.preprocess.prepare([image])
        differences.note("pixels", np.abs(expected.pixels.numpy() - found.pixels).max())


def _without_resizing(network: MaskRCNN, exported: ExportedModel) -> tuple[MaskRCNN, ExportedModel]:
    """Both, for images that are taken as they are: small ones take little time, and every shape is seen."""
    settings = replace(exported.config.input, min_size=1, max_size=65536, shrink=False)
    theirs, ours = copy(network), copy(exported)
    theirs._modules = dict(network._modules)
    theirs.preprocess = Preprocess(
        min_size=1,
        max_size=65536,
        shrink=False,
        antialias=settings.antialias,
        mean=settings.mean,
        std=settings.std,
        size_divisor=settings.size_divisor,
    )
    ours.preprocess = RuntimePreprocess(settings)
    return theirs, ours


def _telling_threshold(network: MaskRCNN, config: Config) -> float:
    """The model's own, or one that some objects in pictures such as ours exceed, in a gap between scores."""
    pictures = [_picture(size, 0, config.input.channels, blank=False) for size in SHAPES]
    found = [network.predict([_tensor(picture)], score_threshold=0.0)[0].scores for picture in pictures]
    scores = torch.cat(found).sort(descending=True).values.tolist()
    own = config.box_head.score_threshold
    if len(scores) < 8 or scores[7] > own:
        return own
    gaps = {(a + b) / 2: a - b for a, b in pairwise(scores[7:41])}
    return max(gaps, key=lambda middle: gaps[middle], default=own)


def compare(expected: Detections, found: Prediction, differences: Differences) -> None:
    """Take note of how much what was found in an image differs from what was expected."""
    pairs = match(expected, found)
    differences.objects += len(expected)
    differences.strays += len(expected) + len(found) - 2 * len(pairs)
    ours, theirs = pairs[:, 1], torch.from_numpy(pairs[:, 0])
    if len(pairs):
        differences.note("box", np.abs(expected.boxes[theirs].numpy() - found.boxes[ours]).max())
        differences.note("score", np.abs(expected.scores[theirs].numpy() - found.scores[ours]).max())
        if expected.mask_probs is not None and found.mask_probs is not None:
            differences.note("mask", np.abs(expected.mask_probs[theirs].numpy() - found.mask_probs[ours]).max())
        if expected.keypoints is not None and found.keypoints is not None:
            apart = np.abs(expected.keypoints[theirs, :, :2].numpy() - found.keypoints[ours][:, :, :2]).max(axis=2)
            differences.note("keypoint", (apart > LIMITS["box"]).mean())
    if expected.semantic is not None and found.semantic is not None:
        differences.note("label", (expected.semantic.numpy() != found.semantic).mean())


def match(expected: Detections, found: Prediction) -> Any:
    """(n, 2) pairs of objects of the same class that lie closest: the order of equal scores means nothing."""
    apart = np.abs(expected.boxes.numpy()[:, None] - found.boxes[None]).max(axis=2)
    apart[expected.labels.numpy()[:, None] != found.labels[None]] = np.inf
    pairs = []
    for _ in range(min(apart.shape)):
        place = np.unravel_index(apart.argmin(), apart.shape)
        if not apart[place] <= 1:  # a pixel: these are two objects
            break
        pairs.append(place)
        apart[place[0]], apart[:, place[1]] = np.inf, np.inf
    return np.array(pairs, np.int64).reshape(-1, 2)


def _tensor(image: ByteArray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)
