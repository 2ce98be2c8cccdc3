"""Which images form which batch: a function of the seed and the batch's number, and of nothing else."""

from __future__ import annotations

import numpy as np

from maskrcnn.structures.masks import BoolArray, IntArray


class BatchPlan:
    """Shuffles the images anew for every epoch and packs like aspect ratios together.

    Portrait and landscape images fill separate batches, so that little padding is needed; what is left of both at the
    end of an epoch fills mixed batches. Every image is in exactly one batch of an epoch, except for the fewer than
    `batch_size` that do not fill the last one: each epoch leaves out others. With fewer images than a batch needs,
    images repeat within it.

    Args:
        is_portrait: (N,) for N >= 1 images.
        batch_size: images per batch.
        seed: of the shuffles.
    """

    def __init__(self, is_portrait: BoolArray, batch_size: int, seed: int) -> None:
        self._is_portrait = is_portrait
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
        order = generator.permutation(len(self._is_portrait))
        order = np.resize(order, max(len(order), self._batch_size))  # repeats what is less than a batch
        is_portrait = self._is_portrait[order]
        portrait, rest_of_portrait = self._packed(order[is_portrait])
        landscape, rest_of_landscape = self._packed(order[~is_portrait])
        mixed, _ = self._packed(np.concatenate([rest_of_portrait, rest_of_landscape]))
        return generator.permutation(np.concatenate([portrait, landscape, mixed]))

    def _packed(self, images: IntArray) -> tuple[IntArray, IntArray]:
        """Whole batches (B, batch_size), and the images that are left."""
        whole = len(images) // self._batch_size * self._batch_size
        return images[:whole].reshape(-1, self._batch_size), images[whole:]
