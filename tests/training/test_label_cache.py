from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.data.channels import RGB
from maskrcnn.data.coco import LabelledImages, read_coco, read_to_measure
from maskrcnn.errors import UserError
from maskrcnn.training import label_cache
from maskrcnn.training.label_cache import remembered
from maskrcnn.weights.tensor_file import read_tensors, write_tensors

SETTINGS: dict[str, Any] = {"check_files": True, "group_by": "", "channels": RGB}


class Counted:
    """`read_coco`, counting."""

    __name__ = "read_coco"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *arguments: Any, **settings: Any) -> LabelledImages:
        self.calls += 1
        return read_coco(*arguments, **settings)


@pytest.fixture
def read() -> Counted:
    return Counted()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images with polygons, run lengths, keypoints, a crowd and a fault; the cache is empty."""
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path / "cache"))
    for number in range(3):
        Image.fromarray(np.full((12, 10, 3), 60 * number, np.uint8)).save(tmp_path / f"{number}.png")
    square = {"segmentation": [[2, 3, 6, 3, 6, 8, 2, 8]], "bbox": [2, 3, 4, 5], "category_id": 7}
    rle = {"segmentation": {"size": [12, 10], "counts": [27, 5, 88]}, "bbox": [2, 3, 1, 5], "category_id": 9}
    annotations = [
        {**square, "image_id": 2, "keypoints": [3, 4, 2]},
        {**rle, "image_id": 0, "iscrowd": 1},
        {**square, "image_id": 0, "bbox": [0, 0, 1, 1]},
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 10, "height": 12, "site": n % 2} for n in range(3)],
        "annotations": [{"id": n, **entry} for n, entry in enumerate(annotations)],
        "categories": [{"id": 7, "name": "cell", "keypoints": ["tip"]}, {"id": 9, "name": "sky", "isthing": 0}],
        "unlabelled": "void",
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    return path


def again(file: Path, read: Any, **changes: Any) -> LabelledImages:
    return remembered(file, file.parent, read, SETTINGS | changes, large=0)


def cached(file: Path) -> Path:
    (found,) = (file.parent / "cache" / "labels").glob("*/labels.safetensors")
    return found


def facts(data: LabelledImages) -> Any:
    columns = {name: (value.dtype, value.tolist()) for name, value in vars(data.labels).items()}
    report = data.report
    totals = report.num_images, report.num_objects, report.num_ignored, report.num_stuff
    rest = data.folder, data.categories, data.group_names, data.has_void, data.channels
    return repr(columns), rest, report.source, report.lines, report.counts, totals


def test_what_is_remembered_is_what_was_read(file: Path, read: Counted) -> None:
    plain = read_coco(file, file.parent, **SETTINGS | {"group_by": "site"})
    first, second = (again(file, read, group_by="site") for _ in range(2))
    assert read.calls == 1
    assert facts(first) == facts(second) == facts(plain)
    assert plain.report.counts and plain.has_void and plain.group_names and plain.categories.keypoints


def test_small_files_are_not_kept(file: Path, read: Counted) -> None:
    assert label_cache.LARGE == 64 * 2**20
    remembered(file, file.parent, read, SETTINGS)
    assert read.calls == 1 and not (file.parent / "cache").exists()


def newer(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        newer,
        lambda file: file.write_text(file.read_text() + " "),
        lambda file: newer(file.parent / "1.png"),
        lambda file: cached(file).write_bytes(b""),
        lambda file: cached(file).write_bytes(cached(file).read_bytes()[:-1]),
        lambda file: cached(file).write_bytes(cached(file).read_bytes()[:-1] + b"\xff"),
        lambda file: cached(file).write_bytes(b"\x80\x04cos\nsystem\n"),
        lambda file: cached(file).unlink(),
        lambda file: write_tensors(cached(file), {"points": torch.zeros(3)}, {}),
    ],
)
def test_what_is_no_longer_true_or_not_whole_is_read_anew(
    file: Path, read: Counted, change: Callable[[Path], object]
) -> None:
    again(file, read)
    change(file)
    expected = facts(read_coco(file, file.parent, **SETTINGS))
    assert facts(again(file, read)) == expected and read.calls == 2
    assert facts(again(file, read)) == expected and read.calls == 2, "and kept anew"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("first_object", torch.tensor([0, 2, 1, 3])),
        ("first_run", torch.tensor([0, 0, 3, 300])),
        ("labels", torch.zeros(2, dtype=torch.int64)),
        ("points", torch.zeros((8, 2))),
    ],
)
def test_columns_that_do_not_fit_are_read_anew(file: Path, read: Counted, name: str, column: torch.Tensor) -> None:
    again(file, read)
    tensors, header = read_tensors(cached(file))
    write_tensors(cached(file), {key: value.clone() for key, value in tensors.items()} | {name: column}, header)
    again(file, read)
    assert read.calls == 2


def test_other_settings_are_other_labels(file: Path, read: Counted) -> None:
    again(file, read)
    assert again(file, read, crowd="object").labels.ignore.sum() == 0
    again(file, read_to_measure)
    assert read.calls == 2
    assert len(list((file.parent / "cache" / "labels").iterdir())) == 3


def test_the_number_of_those_kept_is_bounded(file: Path, read: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_cache, "KEEP", 2)
    for number in (100_000, 200_000, 100_000, 300_000, 100_000):
        again(file, read, max_pixels=number)
    assert read.calls == 3 and len(list((file.parent / "cache" / "labels").iterdir())) == 2


def test_nothing_is_kept_while_images_are_missing(file: Path, read: Counted) -> None:
    picture = (file.parent / "1.png").read_bytes()
    (file.parent / "1.png").unlink()
    assert len(again(file, read).labels) == 2
    (file.parent / "1.png").write_bytes(picture)
    assert len(again(file, read).labels) == 3


def test_what_the_cache_cannot_hold_is_not_kept(file: Path, read: Counted) -> None:
    """Where this fails, something new has to be remembered, or to keep labels from it."""
    names = [field.name for field in fields(LabelledImages)]
    remembers = ["folder", "categories", "labels", "report", "group_names", "has_void", "channels"]
    assert names == [*remembers, "federated", "street"]
    content = json.loads(file.read_text())
    content["images"][0]["neg_category_ids"] = [9]
    file.write_text(json.dumps(content))
    first, second = again(file, read).federated, again(file, read).federated
    assert first is not None and first == second and read.calls == 2


def test_a_cache_that_cannot_be_written_is_done_without(file: Path, read: Counted) -> None:
    (file.parent / "cache").write_text("a file")
    assert facts(again(file, read)) == facts(read_coco(file, file.parent, **SETTINGS))


def test_errors_of_the_reader_stay(file: Path, read: Counted) -> None:
    file.write_text("{}")
    with pytest.raises(UserError, match=r"labels\.json: expected a COCO instances file"):
        again(file, read)
    assert not (file.parent / "cache" / "labels").exists() or not list((file.parent / "cache" / "labels").iterdir())
