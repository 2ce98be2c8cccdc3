from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from maskrcnn.data.batches import BatchPlan, Partners, balanced_repeats, repeat_factors
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder


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
    assert len({tuple(portrait[i : i + 10]) for i in range(0, 100, 10)}) > 5, "the two groups alternate at random"


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


KINDS = np.repeat([5, 2, 9], [16, 1, 4])  # in numbers that are no indices


def test_a_group_takes_a_share_as_the_root_of_its_size() -> None:
    repeats = balanced_repeats(KINDS)  # roots 4, 1 and 2 share 21 draws: 12, 3 and 6
    np.testing.assert_allclose(repeats, np.repeat([12 / 16, 3 / 1, 6 / 4], [16, 1, 4]))


@pytest.mark.parametrize("seed", range(5))
def test_repeats_sum_to_the_number_of_images(seed: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 7, 1000) ** 2
    repeats = balanced_repeats(groups)
    assert repeats.sum() == pytest.approx(1000) and repeats.shape == (1000,)
    assert all(len(set(repeats[groups == group])) == 1 for group in groups)


def test_one_group_is_drawn_once_each() -> None:
    np.testing.assert_allclose(balanced_repeats(np.full(7, 3)), 1.0)
    one_each = BatchPlan(np.zeros(7, bool), 2, 0, balanced_repeats(np.full(7, 3)))
    assert epoch_of(one_each, 1) == epoch_of(plan(7, 2, portrait_share=0), 1)


def drawn_in(batches: BatchPlan, epoch: int) -> list[int]:
    return np.bincount(np.concatenate(epoch_of(batches, epoch)), minlength=len(KINDS)).tolist()


@pytest.mark.parametrize("portrait_share", [0.0, 0.4])
def test_an_epoch_draws_each_image_its_repeats_rounded_up_or_down(portrait_share: float) -> None:
    repeats = balanced_repeats(KINDS)
    batches = BatchPlan(np.arange(21) < portrait_share * 21, 1, 0, repeats)  # batches of one leave nothing out
    counts = np.array([drawn_in(batches, epoch) for epoch in range(300)])
    assert (counts.sum(axis=1) == 21).all()
    assert (counts >= np.floor(repeats)).all() and (counts <= np.ceil(repeats)).all()
    np.testing.assert_allclose(counts.mean(axis=0), repeats, atol=0.1)
    assert (counts.min(axis=0) < counts.max(axis=0)).sum() == 20, "all but the whole number 3 vary"


def test_an_image_of_no_repeats_is_never_drawn() -> None:
    batches = BatchPlan(np.zeros(3, bool), 1, 0, np.array([0.0, 3.0, 0.0]))
    assert {image for epoch in range(20) for batch in epoch_of(batches, epoch) for image in batch} == {1}


def test_a_balanced_batch_is_a_function_of_its_number() -> None:
    forwards = [BatchPlan(KINDS > 4, 4, 5, balanced_repeats(KINDS)).batch(number) for number in range(20)]
    batches = BatchPlan(KINDS > 4, 4, 5, balanced_repeats(KINDS))
    assert [batches.batch(number) for number in reversed(range(20))] == forwards[::-1]


def test_repeat_factors_by_hand() -> None:
    """Class 0 is in all of four images, class 1 in one: at t = 1, sqrt(1 / 0.25) = 2 for that one, 1 for the rest."""
    builder = StoreBuilder()
    for number in range(4):
        objects = [ObjectEntry(number, 0, (0, 0, 4, 4), None, False)]
        objects += [ObjectEntry(9, 1, (0, 0, 4, 4), None, False)] * (number == 2)
        objects += [ObjectEntry(8, 1, (0, 0, 4, 4), None, True)] * (number == 3)  # a crowd is no object
        builder.add_image(ImageEntry(number, f"{number}.png", (8, 8)), objects)
    labels = builder.build()
    np.testing.assert_allclose(repeat_factors(labels, 1.0), np.array([1, 1, 2, 1]) * 4 / 5)
    np.testing.assert_allclose(repeat_factors(labels, 0.25), np.ones(4))  # no class is rarer
    drawn = BatchPlan(np.zeros(4, bool), 1, 0, repeat_factors(labels, 1.0))
    counts = np.bincount([drawn.batch(number)[0] for number in range(400)], minlength=4)
    np.testing.assert_allclose(counts / 400, [0.2, 0.2, 0.4, 0.2], atol=0.03)


def store(groups: list[int], labels: list[list[int]], ignored: tuple[int, ...] = ()) -> LabelStore:
    """Images of these groups, with objects of these labels; those with an ignored label are regions to ignore."""
    builder = StoreBuilder()
    for number, (group, own) in enumerate(zip(groups, labels, strict=True)):
        entries = [ObjectEntry(0, label, (0, 0, 2, 2), None, label in ignored) for label in own]
        builder.add_image(ImageEntry(number, f"{number}.png", (4, 4), group), entries)
    return builder.build()


def drawn(partners: Partners, image: int, times: int = 600) -> dict[int | None, int]:
    generator = np.random.default_rng(0)
    counted = Counter(partners.draw(image, generator) for _ in range(times))
    return dict(sorted(counted.items(), key=str))


def test_partners_have_objects_and_are_of_the_same_group() -> None:
    """Group 1 has an image without objects and one with an ignored region alone; group 2 nothing to paste."""
    partners = Partners(store([1, 0, 1, 2, 1, 0, 1], [[0], [0, 0], [], [9], [9], [0], [0, 0, 0]], ignored=(9,)))
    for image, expected in ((0, {0, 6}), (2, {0, 6}), (1, {1, 5}), (5, {1, 5})):
        counts = drawn(partners, image)
        assert counts.keys() == expected and min(counts.values()) > 250, "each as often as the others"
    assert drawn(partners, 3, times=5) == {None: 5}


def test_partners_are_drawn_as_often_as_their_repeats_say() -> None:
    counts = drawn(Partners(store([0] * 4, [[0], [0], [], [0]]), np.array([0.5, 2.0, 1.0, 0.5])), 0, times=6000)
    assert counts.keys() == {0, 1, 3}
    assert [counts[image] / 6000 for image in (0, 1, 3)] == pytest.approx([1 / 6, 4 / 6, 1 / 6], abs=0.02)
