"""Arrays among the pictures of a data folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.channels import Channels
from maskrcnn.data.formats.listing import Listing
from maskrcnn.data.formats.table import labelled_images, read_labels
from maskrcnn.data.images import read_values

PIXELS = np.zeros((20, 30, 6), np.uint8)


def test_an_array_is_a_picture_where_nothing_else_has_its_name(tmp_path: Path) -> None:
    """Ultralytics keeps `X.npy` beside `X.jpg`, Cellpose `X_seg.npy`."""
    for name in ("a.npy", "b.npy", "b_seg.npy", "c_seg.npy"):
        np.save(tmp_path / name, PIXELS)
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg")
    listing = Listing(tmp_path)
    assert listing.pictures() == ["a.jpg", "b.npy"] and listing.picture_of_stem("a") == "a.jpg"
    assert listing.size("b.npy") == (20, 30) and listing.size("a.jpg") == (20, 30)


@pytest.mark.parametrize("ending", [".jfif", ".jpe"])
def test_jpeg_by_other_endings_is_a_picture(tmp_path: Path, ending: str) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / f"a{ending}", "JPEG")
    listing = Listing(tmp_path)
    assert listing.picture_of_stem("a") == f"a{ending}" and listing.size(f"a{ending}") == (20, 30)


def labelme(folder: Path) -> None:
    shape = {"label": "cell", "shape_type": "polygon", "points": [[2, 2], [9, 2], [9, 9]]}
    (folder / "a.json").write_text(json.dumps({"imagePath": "a.npy", "shapes": [shape], "version": "5"}))
    np.save(folder / "a.npy", PIXELS)


def yolo(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    np.save(folder / "images" / "a.npy", PIXELS)
    (folder / "labels" / "a.txt").write_text("0 0.1 0.1 0.3 0.1 0.3 0.45\n")
    (folder / "data.yaml").write_text("train: images\nnames: [cell]\n")


def label_images(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    np.save(folder / "images" / "a.npy", PIXELS)
    mask = np.zeros((20, 30), np.uint16)
    mask[2:9, 2:9] = 4
    Image.fromarray(mask).save(folder / "masks" / "a.png")
    assert read_values(folder / "masks" / "a.png").max() == 4


@pytest.mark.parametrize("write", [labelme, yolo, label_images])
def test_labels_of_arrays(tmp_path: Path, write: object) -> None:
    write(tmp_path)  # type: ignore[operator]
    data = labelled_images(read_labels(tmp_path), channels=Channels(6, rgb=False), check_files=True)
    assert data.report.num_objects == 1 and data.labels.size(0) == (20, 30) and not data.report.counts
    assert data.channels.count == 6
