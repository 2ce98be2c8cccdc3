"""YOLO's label files as they are written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.cli.main import main


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
