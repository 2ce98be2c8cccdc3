"""YOLO's label files as they are written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from maskrcnn.cli.main import main
from maskrcnn.data.formats.table import read_labels


@pytest.mark.parametrize("outline", [{"segmentation": [[2, 3, 8, 3, 8, 9, 2, 9]]}, {}])
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_labels_of_stored_pixels_are_turned_with_the_picture(tmp_path: Path, orientation: int, outline: dict) -> None:
    """YOLO's lines state no size: a reader takes the picture as it stands upright, which Pillow turns here."""
    exif, drawn = Image.Exif(), np.zeros((24, 31), np.uint8)
    exif[0x0112], drawn[3:9, 2:8] = orientation, 255
    (tmp_path / "images").mkdir()
    Image.fromarray(drawn).save(tmp_path / "images/a.png", exif=exif)
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 6, 6], "iscrowd": 0, **outline}
    images = [{"id": 1, "file_name": "a.png", "height": 24, "width": 31}]
    content = {"images": images, "annotations": [entry], "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    main(["convert", str(tmp_path), str(tmp_path / "out"), "--to", "yolo"])
    upright = Image.open(tmp_path / "images/a.png")
    turned = {5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
    shown = np.asarray(upright if turned is None else upright.transpose(Image.Transpose(turned)))
    (line,) = (tmp_path / "out/labels/train/a.txt").read_text().splitlines()
    values = np.array([float(word) for word in line.split()[1:]]).reshape(-1, 2) * shown.shape[::-1]
    if outline:
        low, high = values.min(axis=0), values.max(axis=0)
    else:
        low, high = values[0] - values[1] / 2, values[0] + values[1] / 2
    ys, xs = np.nonzero(shown)
    assert np.allclose([*low, *high], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


@pytest.mark.parametrize(
    ("splits", "places"),
    [
        (("train",), {"train": "images/train", "val": "images/train"}),
        (("val",), {"train": "images/val", "val": "images/val"}),
        (("test",), {"train": "images/test", "val": "images/test", "test": "images/test"}),
        (("train", "test"), {"train": "images/train", "val": "images/train", "test": "images/test"}),
        (("val", "train"), {"train": "images/train", "val": "images/val"}),
    ],
)
def test_ultralytics_finds_both_splits_and_here_none_is_doubled(
    tmp_path: Path, splits: tuple[str, ...], places: dict[str, str]
) -> None:
    """It refuses settings without `train` or `val`, and takes a `path` from its working directory."""
    (tmp_path / "images").mkdir()
    for number, split in enumerate(splits):
        Image.fromarray(np.full((24, 31), number, np.uint8)).save(tmp_path / f"images/{number}.png")
        images = [{"id": 1, "file_name": f"{number}.png", "height": 24, "width": 31}]
        entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 6, 6], "iscrowd": 0}
        content = {"images": images, "annotations": [entry], "categories": [{"id": 1, "name": "cat"}]}
        (tmp_path / f"instances_{split}.json").write_text(json.dumps(content))
    written = [tmp_path / "out", tmp_path / "again"]
    for source, target in zip([tmp_path, written[0]], written, strict=True):
        main(["convert", str(source), str(target), "--to", "yolo"])
    stated = [(folder / "data.yaml").read_bytes() for folder in written]
    assert yaml.safe_load(stated[0]) == {**places, "names": {0: "cat"}} and stated[0] == stated[1]
    content = read_labels(written[0])
    assert content.splits == sorted(splits, key=["train", "val", "test"].index) and not content.report.counts
    assert len(content.coco["images"]) == len(content.coco["annotations"]) == len(splits)
