"""Damaged files never crash or hang a reader, and every error names the file."""

from __future__ import annotations

import faulthandler
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.config import Augmentation, InputConfig
from maskrcnn.data.coco import read_coco
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.data.images import read_header, read_image
from maskrcnn.errors import UserError

MAX_PIXELS = 4_000_000
HANG_SECONDS = 300
"""For all files of a test together, on a busy machine; the process then ends with a traceback."""


def load_generator() -> ModuleType:
    """`mutate.py` lies beside this file, which is not in a package."""
    spec = importlib.util.spec_from_file_location("mutate", Path(__file__).with_name("mutate.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutate = load_generator()


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


def check_error(error: UserError, path: Path) -> None:
    assert str(path) in str(error), "the error names the file"
    assert len(str(error).splitlines()) == 1 and len(str(error)) < 1000


def check_image(path: Path) -> str:
    """Read a damaged image; returns what came of it."""
    try:
        header = read_header(path, MAX_PIXELS)
        pixels = read_image(path, MAX_PIXELS)
    except UserError as error:
        check_error(error, path)
        return "refused"
    assert pixels.dtype == np.uint8 and pixels.shape == (*header.size, 3) and pixels.size <= 3 * MAX_PIXELS
    return "read"


def check_images(folder: Path, count: int, seed: int) -> dict[str, int]:
    outcomes = {"read": 0, "refused": 0}
    for number, (extension, content) in enumerate(mutate.mutated_images(count, seed)):
        path = folder / f"{number}{extension}"
        path.write_bytes(content)
        outcomes[check_image(path)] += 1
        path.unlink()
    return outcomes


def check_annotations(folder: Path, count: int, seed: int) -> dict[str, int]:
    for number in range(4):
        Image.fromarray(np.full((24, 31, 3), 50 * number, np.uint8)).save(folder / f"{number}.png")
    outcomes = {"clean": 0, "repaired": 0, "refused": 0}
    path = folder / "labels.json"
    for content in mutate.mutated_annotations(count, seed):
        path.write_bytes(content)
        outcomes[check_annotation_file(path)] += 1
    return outcomes


def check_annotation_file(path: Path) -> str:
    try:
        data = read_coco(path, path.parent, max_pixels=MAX_PIXELS)
    except UserError as error:
        check_error(error, path)
        return "refused"
    for line in (*data.report.lines, *data.report.summary()):
        assert line.startswith(str(path)) and line.isprintable()
    check_samples(
        CocoDataset(data, Augmentation(horizontal_flip=0.0), InputConfig(min_size=32, max_size=64), MAX_PIXELS)
    )
    return "repaired" if data.report.lines else "clean"


def check_samples(dataset: CocoDataset) -> None:
    """Whatever passed the reader can be trained on: everything inside the image, labels of known classes."""
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except UserError as error:  # a size that disagrees with the file
            check_error(error, dataset.path(index))
            continue
        height, width = sample.image.shape[1:]
        targets = sample.targets
        for boxes in (targets.boxes, targets.crowd_boxes):
            assert torch.isfinite(boxes).all() and (boxes >= 0).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes <= torch.tensor([width, height] * 2)).all()
        assert ((targets.labels >= 0) & (targets.labels < len(dataset.categories))).all()
        if targets.keypoints is not None:
            points, visibility = targets.keypoints[..., :2], targets.keypoints[..., 2]
            assert (points >= 0).all() and (points <= torch.tensor([width, height])).all()
            assert torch.isin(visibility, torch.tensor([0.0, 1.0, 2.0])).all()
        assert targets.masks is not None and all(targets.masks.crops().crop(i).any() for i in range(len(targets)))


def test_damaged_images(tmp_path: Path) -> None:
    outcomes = check_images(tmp_path, count=100, seed=0)
    assert outcomes["refused"] > 30 and outcomes["read"] > 10, "the generator damages neither too little nor too much"


def test_damaged_annotations(tmp_path: Path) -> None:
    outcomes = check_annotations(tmp_path, count=100, seed=0)
    assert outcomes["refused"] > 15 and outcomes["repaired"] > 30


@pytest.mark.slow
def test_a_thousand_damaged_images(tmp_path: Path) -> None:
    assert check_images(tmp_path, count=1000, seed=1)["refused"] > 300


@pytest.mark.slow
def test_a_thousand_damaged_annotation_files(tmp_path: Path) -> None:
    assert check_annotations(tmp_path, count=1000, seed=1)["repaired"] > 300


def test_the_generator_repeats_itself() -> None:
    assert list(mutate.mutated_images(20, 3)) == list(mutate.mutated_images(20, 3))
    assert list(mutate.mutated_annotations(20, 3)) == list(mutate.mutated_annotations(20, 3))
    assert list(mutate.mutated_images(20, 3)) != list(mutate.mutated_images(20, 4))
