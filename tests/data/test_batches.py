from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.data.batches import BatchPlan


def plan(num_images: int, batch_size: int, seed: int = 0, portrait_share: float = 0.4) -> BatchPlan:
    return BatchPlan(np.arange(num_images) < portrait_share * num_images, batch_size, seed)


def epoch_of(batches: BatchPlan, epoch: int) -> list[list[int]]:
    start = epoch * batches.batches_per_epoch
    return [batches.batch(number) for number in range(start, start + batches.batches_per_epoch)]


@pytest.mark.parametrize(("num_images", "batch_size"), [(24, 4), (23, 4), (25, 4), (7, 1), (8, 8), (9, 8), (4, 3)])
@pytest.mark.parametrize("portrait_share", [0.0, 0.4, 1.0])
def test_every_image_once_an_epoch_but_for_an_incomplete_batch(
    num_images: int, batch_size: int, portrait_share: float
) -> None:
    batches = plan(num_images, batch_size, portrait_share=portrait_share)
    assert batches.batches_per_epoch == num_images // batch_size
    for epoch in range(3):
        seen = np.concatenate(epoch_of(batches, epoch))
        assert len(seen) == len(set(seen)) == num_images // batch_size * batch_size
        assert all(len(batch) == batch_size for batch in epoch_of(batches, epoch))


def test_over_the_epochs_every_image_has_its_turn() -> None:
    batches = plan(11, 4)
    assert set(np.concatenate([np.concatenate(epoch_of(batches, epoch)) for epoch in range(20)])) == set(range(11))


def test_portrait_and_landscape_do_not_mix_but_at_the_rest() -> None:
    batches = plan(50, 4)  # 20 portrait = 5 batches; 30 landscape = 7 batches and 2 images, which are left out
    for batch in epoch_of(batches, 0):
        assert len({index < 20 for index in batch}) == 1
    batches = plan(52, 4, portrait_share=22 / 52)  # 22 and 30: two of each are left, and share a batch
    assert sum(len({index < 22 for index in batch}) == 2 for batch in epoch_of(batches, 0)) == 1


def test_the_order_is_shuffled_and_differs_between_epochs_and_seeds() -> None:
    orders = [epoch_of(plan(40, 4, seed), epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({str(order) for order in orders}) == 4
    portrait = [batch[0] < 160 for batch in epoch_of(plan(400, 4), 0)]
    assert len({tuple(portrait[i : i + 10]) for i in range(0, 100, 10)}) > 5, "the two kinds alternate at random"


def test_a_batch_is_a_function_of_its_number() -> None:
    forwards = [plan(23, 4, seed=5).batch(number) for number in range(30)]
    batches = plan(23, 4, seed=5)
    assert [batches.batch(number) for number in reversed(range(30))] == forwards[::-1]
    assert batches.batch(10**9) == plan(23, 4, seed=5).batch(10**9)


def test_fewer_images_than_a_batch() -> None:
    batches = plan(3, 8)
    assert batches.batches_per_epoch == 1
    counts = np.bincount(batches.batch(4), minlength=3)
    assert counts.sum() == 8 and counts.min() >= 2
