from __future__ import annotations

import logging
import os
import signal
import warnings
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.config import Augmentation, InputConfig
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.data.loader import TrainBatches, _set_up_worker
from maskrcnn.errors import UserError

SIZES = InputConfig(min_size=10, max_size=30)
CHANGES = Augmentation(min_sizes=(10, 14), crop_size=9, quarter_turns=True, brightness=0.3, hue=0.1)
PASTED = replace(CHANGES, copy_paste=0.7, scale_range=(0.5, 2.0), pad_crops=True)


@pytest.fixture(params=[CHANGES, PASTED], ids=["", "pasted"])
def dataset(make_coco, read, square: dict[str, Any], request: pytest.FixtureRequest) -> CocoDataset:
    """Seven images with a square each."""
    annotations = [square | {"id": number, "image_id": number} for number in range(1, 8)]
    return CocoDataset(read(make_coco(annotations, num_images=7)), request.param, SIZES)


def contents(batches: list[list[Sample]]) -> list[Any]:
    """Everything in the batches, comparable."""
    return [
        [
            (
                sample.file_name,
                sample.image.tolist(),
                sample.targets.boxes.tolist(),
                sample.targets.masks.pixels.tolist() if sample.targets.masks else None,
            )
            for sample in batch
        ]
        for batch in batches
    ]


def take(batches: TrainBatches, count: int) -> list[list[Sample]]:
    return list(islice(batches, count))


def test_batches_hold_samples(dataset: CocoDataset) -> None:
    batch = next(iter(TrainBatches(dataset, batch_size=3, seed=0)))
    assert len(batch) == 3 and all(isinstance(sample, Sample) for sample in batch)
    assert len({sample.file_name for sample in batch}) == 3


def test_workers_change_nothing(dataset: CocoDataset) -> None:
    expected = contents(take(TrainBatches(dataset, 2, seed=3), 6))
    assert contents(take(TrainBatches(dataset, 2, seed=3, num_workers=2), 6)) == expected


def test_no_more_workers_than_cpus(dataset: CocoDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a container with one CPU, say; torch would warn of it, in many lines."""
    expected = contents(take(TrainBatches(dataset, 2, seed=3), 2))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert contents(take(TrainBatches(dataset, 2, seed=3, num_workers=64), 2)) == expected


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batches_of_one_process(dataset: CocoDataset, world: int) -> None:
    """In the same order, each image changed in the same way, over the end of an epoch too."""
    expected = contents(take(TrainBatches(dataset, 2 * world, seed=3), 4))
    ranks = [contents(take(TrainBatches(dataset, 2, seed=3, rank=rank, world=world), 4)) for rank in range(world)]
    assert [[sample for part in parts for sample in part] for parts in zip(*ranks, strict=True)] == expected


@pytest.mark.parametrize("start", [1, 3, 4, 7])
def test_starting_later_is_the_same_sequence(dataset: CocoDataset, start: int) -> None:
    whole = contents(take(TrainBatches(dataset, 2, seed=3), 10))
    assert contents(take(TrainBatches(dataset, 2, seed=3, start=start), 10 - start)) == whole[start:]


def test_seeds_and_epochs_differ(dataset: CocoDataset) -> None:
    batches = take(TrainBatches(dataset, 7, seed=0), 2)
    by_name = [{sample.file_name: sample.image.tolist() for sample in batch} for batch in batches]
    assert set(by_name[0]) == set(by_name[1]) and by_name[0] != by_name[1]
    assert contents(take(TrainBatches(dataset, 7, seed=1), 1)) != contents(batches[:1])


def test_an_image_repeated_in_a_batch_is_changed_anew(make_coco, read) -> None:
    dataset = CocoDataset(read(make_coco([])), Augmentation(brightness=0.5), SIZES)
    batch = next(iter(TrainBatches(dataset, 3, seed=0)))
    assert len({str(sample.image.tolist()) for sample in batch}) == 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_global_random_numbers_are_left_alone(dataset: CocoDataset, num_workers: int) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    take(TrainBatches(dataset, 2, seed=0, num_workers=num_workers), 2)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_broken_images_are_replaced_and_named_once(
    dataset: CocoDataset, tmp_path: Path, num_workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    expected = take(TrainBatches(dataset, 7, seed=0), 3)
    (tmp_path / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "4.png").unlink()
    with caplog.at_level(logging.WARNING):
        batches = take(TrainBatches(dataset, 7, seed=0, num_workers=num_workers), 3)
    assert len(caplog.messages) == 2 and all("another image takes its place" in line for line in caplog.messages)
    assert sorted(line.split(":")[0] for line in caplog.messages) == [str(tmp_path / f"{n}.png") for n in (3, 4)]
    for batch, whole in zip(batches, expected, strict=True):
        names = {"3.png": "5.png", "4.png": "5.png"}
        assert [s.file_name for s in batch] == [names.get(s.file_name, s.file_name) for s in whole]
        for sample, before in zip(batch, whole, strict=True):
            if sample.file_name == before.file_name and not dataset.augmentation.copy_paste:
                assert torch.equal(sample.image, before.image), "other samples do not change"


@pytest.mark.parametrize("num_workers", [0, 1])
def test_all_broken_is_an_error_in_one_line(dataset: CocoDataset, tmp_path: Path, num_workers: int) -> None:
    for path in tmp_path.glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"7 in a row cannot be used; the first: .*\.png") as error:
        next(iter(TrainBatches(dataset, 2, seed=0, num_workers=num_workers)))
    assert "\n" not in str(error.value)


def one_colour_each(make_coco, read, tmp_path: Path, square: dict[str, Any], changes: Augmentation) -> CocoDataset:
    """Six images of two groups, the first in two, each of a colour of its own and with an object but the last."""
    content = make_coco([square | {"id": n, "image_id": n} for n in range(1, 6)], num_images=6)
    for number, image in enumerate(content["images"], start=1):
        image["stain"] = "ab"[number > 2]
        Image.new("RGB", (10, 12), (10 * number,) * 3).save(tmp_path / image["file_name"])
    return CocoDataset(read(content, group_by="stain"), changes, SIZES)


def test_pasted_objects_are_of_the_same_group_and_the_rest_is_as_without(
    make_coco, read, tmp_path: Path, square: dict[str, Any]
) -> None:
    changes = Augmentation(copy_paste=0.5, paste_fraction=1.0)
    dataset = one_colour_each(make_coco, read, tmp_path, square, changes)
    plain = one_colour_each(make_coco, read, tmp_path, square, Augmentation())
    noted: dict[int, Any] = {}
    with_paste = [s for batch in take(TrainBatches(dataset, 6, seed=0, note=noted.setdefault), 60) for s in batch]
    without = [s for batch in take(TrainBatches(plain, 6, seed=0), 60) for s in batch]
    partners: dict[int, set[int]] = {number: set() for number in range(1, 7)}
    changed = 0
    for sample, before in zip(with_paste, without, strict=True):
        assert sample.file_name == before.file_name
        number, values = int(sample.file_name[0]), sample.image[0]
        other = set(values.unique().tolist()) - {10 * number}
        partners[number] |= {value // 10 for value in other}
        changed += bool(other)
        assert (before.image[:, values == 10 * number] == 10 * number).all()
        masks = sample.targets.masks
        if other and masks is not None:
            assert torch.equal(values != 10 * number, masks.bitmaps()[-1].bool()), "what is pasted is an object"
    assert partners == {1: {2}, 2: {1}, 3: {4, 5}, 4: {3, 5}, 5: {3, 4}, 6: {3, 4, 5}}
    assert 0.3 < changed / len(with_paste) < 0.5, "half, less the images that were drawn for themselves"
    assert noted.keys() == set(range(6))


def test_the_file_of_a_pasted_image_is_noted_too(make_coco, read, tmp_path: Path, square: dict[str, Any]) -> None:
    dataset = one_colour_each(make_coco, read, tmp_path, square, Augmentation(copy_paste=1.0, paste_fraction=1.0))
    noted: list[int] = []
    (batch,) = take(TrainBatches(dataset, 1, seed=0, note=lambda image, content: noted.append(image)), 1)
    own = int(batch[0].image_id) - 1
    other = {value // 10 - 1 for value in batch[0].image.unique().tolist()} - {own}
    assert len(other) == 1 and set(noted) == {own, *other}


def test_rare_classes_are_pasted_more_often(make_coco, read, tmp_path: Path, square: dict[str, Any]) -> None:
    """One image of six has a class of its own; with t = 1 it is drawn root 6 times as often as the others are."""
    squares = [square | {"id": n, "image_id": n, "category_id": 9 if n == 6 else 7} for n in range(1, 7)]
    content = make_coco(squares, num_images=6)
    dataset = CocoDataset(read(content), Augmentation(copy_paste=1.0, paste_fraction=1.0), SIZES)
    counts = {}
    for threshold in (0.0, 1.0):
        batches = take(TrainBatches(dataset, 6, seed=0, repeat_threshold=threshold), 150)
        pasted = [sample.targets.labels[-1].item() for batch in batches for sample in batch]
        counts[threshold] = pasted.count(1) / len(pasted)
    rare, others = 6**0.5, 5 * (6 / 5) ** 0.5
    assert counts == pytest.approx({0.0: 1 / 6, 1.0: rare / (rare + others)}, abs=0.04)


def test_like_shapes_share_batches(make_coco, read, tmp_path: Path) -> None:
    content = make_coco([], num_images=8)  # 10 wide, 12 high
    for number, image in enumerate(content["images"]):
        if number % 2:
            image |= {"width": 12, "height": 10}
            Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(tmp_path / image["file_name"])
    dataset = CocoDataset(read(content), Augmentation(), SIZES)
    for batch in take(TrainBatches(dataset, 2, seed=0), 8):
        assert batch[0].image.shape == batch[1].image.shape


def test_workers_have_one_thread_and_outlive_the_signals_that_end_their_parent() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers, threads = [signal.getsignal(number) for number in numbers], torch.get_num_threads()
    try:
        _set_up_worker(0)
        assert torch.get_num_threads() == 1
        for number in numbers:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        torch.set_num_threads(threads)
        cv2.setNumThreads(-1)
