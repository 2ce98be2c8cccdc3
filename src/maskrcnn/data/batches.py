"""Which images form which batch: a function of the seed and the batch's number, and of nothing else."""

from __future__ import annotations

import numpy as np

from maskrcnn.structures.labels import LabelStore
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray


def balanced_repeats(groups: IntArray) -> FloatArray:
    """How often an epoch of N images draws each (N,), so that a group of n images takes a share as the root of n.

    Between drawing images alike, where rare groups are hardly learned, and drawing groups alike, which
    overfits the few of a rare one. The sum is N.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(sizes[group])
    return np.asarray(weights * (len(groups) / weights.sum()))


def repeat_factors(labels: LabelStore, threshold: float) -> FloatArray:
    """How often an epoch of N images draws each (N,), for its rarest class (Gupta et al. 2019, section 4.2).

    r(c) = max(1, sqrt(threshold / f(c))), f(c) the share of images with class c; r(image) = max of its classes' r, 1
    without objects. Scaled so that the sum is N.
    """
    count = len(labels)
    image_of = np.repeat(np.arange(count), np.diff(labels.first_object.numpy()))
    seen = labels.is_object.numpy()
    images, classes = np.unique(np.stack([image_of[seen], labels.labels.numpy()[seen]]), axis=1)
    shares = np.bincount(classes) / count
    factors = np.ones(count)
    np.maximum.at(factors, images, np.sqrt(threshold / shares[classes]))
    return np.asarray(factors * (count / factors.sum()))


class Partners:
    """Draws the image whose objects are pasted on another one: of the same group, in proportion to its repeats.

    Args:
        labels: of N images; those without an object to paste are never drawn.
        repeats: (N,) how often an epoch draws each image; None: once each.
    """

    def __init__(self, labels: LabelStore, repeats: FloatArray | None = None) -> None:
        groups = labels.groups.numpy()
        weights = _num_objects(labels) > 0 if repeats is None else repeats * (_num_objects(labels) > 0)
        self._images = np.argsort(groups, kind="stable")
        self._total = np.concatenate([[0.0], np.cumsum(weights[self._images])])
        ends = np.cumsum(np.bincount(groups))
        self._first, self._end = (ends - np.bincount(groups))[groups], ends[groups]

    def draw(self, image: int, generator: np.random.Generator) -> int | None:
        """The partner of an image; None where its group has no object."""
        first, end = int(self._first[image]), int(self._end[image])
        low, high = self._total[first], self._total[end]
        if low == high:
            return None
        place = np.searchsorted(self._total, generator.uniform(low, high), side="right") - 1
        return int(self._images[min(place, end - 1)])


def _num_objects(labels: LabelStore) -> IntArray:
    """(N,) objects of each image."""
    before = np.concatenate([[0], np.cumsum(labels.is_object.numpy())])
    return np.asarray(np.diff(before[labels.first_object.numpy()]))


class BatchPlan:
    """Shuffles the images anew for every epoch and packs like aspect ratios together.

    Portrait and landscape images fill separate batches, so that little padding is needed; what is left of both at the
    end of an epoch fills mixed batches. An epoch has as many images as the data set, each `repeats` times, rounded up
    or down at random; the fewer than `batch_size` that do not fill the last batch are left out, others in each epoch.
    With fewer images than a batch needs, images repeat within it.

    Args:
        is_portrait: (N,) for N >= 1 images.
        batch_size: images per batch.
        seed: of the shuffles.
        repeats: (N,) how often each image is drawn in an epoch, on average; the sum is N. None: once each.
    """

    def __init__(self, is_portrait: BoolArray, batch_size: int, seed: int, repeats: FloatArray | None = None) -> None:
        self._is_portrait = is_portrait
        self._last_draw = np.cumsum(np.ones(len(is_portrait)) if repeats is None else repeats)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._batches = np.zeros((0, batch_size), np.int64)

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in one pass over the images, at least one."""
        return max(1, len(self._is_portrait) // self._batch_size)

    def batch(self, number: int) -> list[int]:
        """The images of a batch."""
        epoch, position = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(epoch)
        indices: list[int] = self._batches[position].tolist()
        return indices

    def _shuffled(self, epoch: int) -> IntArray:
        """(B, batch_size) images: the batches of an epoch, in order."""
        generator = np.random.default_rng([self._seed, epoch])
        order = generator.permutation(self._drawn(float(generator.random())))
        order = np.resize(order, max(len(order), self._batch_size))  # repeats what is less than a batch
        is_portrait = self._is_portrait[order]
        portrait, rest_of_portrait = self._packed(order[is_portrait])
        landscape, rest_of_landscape = self._packed(order[~is_portrait])
        mixed, _ = self._packed(np.concatenate([rest_of_portrait, rest_of_landscape]))
        return generator.permutation(np.concatenate([portrait, landscape, mixed]))

    def _drawn(self, offset: float) -> IntArray:
        """(N,) images of an epoch: equally spaced points, shifted by 0 <= `offset` < 1, on images laid end to end."""
        count = len(self._is_portrait)
        drawn = np.searchsorted(self._last_draw, np.arange(count) + offset, side="right")
        return np.minimum(drawn, count - 1)

    def _packed(self, images: IntArray) -> tuple[IntArray, IntArray]:
        """Whole batches (B, batch_size), and the images that are left."""
        whole = len(images) // self._batch_size * self._batch_size
        return images[:whole].reshape(-1, self._batch_size), images[whole:]
