"""Labels of a huge image in every form that states them: the same object, and no picture decoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.formats import label_images
from maskrcnn.data.formats.table import open_labels, read_any
from maskrcnn.data.images import read_values
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.masks.rle import encode_rle, rle_window
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.structures import RLE, Polygons

tifffile = pytest.importorskip("tifffile", reason="needs tifffile")

HEIGHT, WIDTH = 14_000, 15_000
"""More than is ever decoded as a whole."""
X1, Y1, X2, Y2 = 12_000, 9_000, 12_080, 9_100
CORNERS = [[X1, Y1], [X2, Y1], [X2, Y2], [X1, Y2]]


def yolo(folder: Path) -> None:
    (folder / "labels").mkdir()
    points = " ".join(f"{x / WIDTH:.9f} {y / HEIGHT:.9f}" for x, y in CORNERS)
    (folder / "labels" / "slide.txt").write_text(f"0 {points}\n")
    (folder / "data.yaml").write_text("train: images\nnames: [cell]\n")


def labelme(folder: Path) -> None:
    shape = {"label": "cell", "shape_type": "polygon", "points": CORNERS, "flags": {}}
    content = {"imagePath": "slide.tif", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": [shape]}
    (folder / "images" / "slide.json").write_text(json.dumps(content | {"version": "5.0", "flags": {}}))


def cvat(folder: Path) -> None:
    points = ";".join(f"{x},{y}" for x, y in CORNERS)
    polygon = f'<polygon label="cell" points="{points}" occluded="0" z_order="0"/>'
    image = f'<image id="0" name="slide.tif" width="{WIDTH}" height="{HEIGHT}">{polygon}</image>'
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version>{image}</annotations>")


def geojson(folder: Path) -> None:
    ring = [*CORNERS, CORNERS[0]]
    properties = {"objectType": "annotation", "classification": {"name": "cell"}}
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}
    (folder / "images" / "slide.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def via(folder: Path) -> None:
    xs, ys = ([corner[axis] for corner in CORNERS] for axis in (0, 1))
    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    region = {"shape_attributes": shape, "region_attributes": {"class": "cell"}}
    entry = {"filename": "slide.tif", "size": -1, "regions": [region], "file_attributes": {}}
    (folder / "via.json").write_text(json.dumps({"slide.tif-1": entry}))


def coco(folder: Path) -> None:
    size = {"width": WIDTH, "height": HEIGHT}
    entry: dict[str, Any] = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [X1, Y1, X2 - X1, Y2 - Y1]}
    rle = polygon_to_rle(Polygons((np.array(CORNERS, float),)), (HEIGHT, WIDTH))
    content = {
        "images": [{"id": 1, "file_name": "slide.tif", **size}],
        "annotations": [{**entry, "segmentation": rle_to_coco(rle), "iscrowd": 0}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (folder / "labels.json").write_text(json.dumps(content))


@pytest.mark.parametrize("write", [yolo, labelme, cvat, geojson, via, coco], ids=lambda f: f.__name__)
def test_the_same_object(write: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    tifffile.memmap(tmp_path / "images" / "slide.tif", shape=(HEIGHT, WIDTH), dtype=np.uint8)
    write(tmp_path)
    source = tmp_path / "labels.json" if write is coco else tmp_path
    data = read_any(open_labels(source, tmp_path / "images" if write is coco else None), None, check_files=True)
    labels = data.labels
    assert len(labels) == labels.num_objects == 1
    assert labels.size(0) == (HEIGHT, WIDTH)
    mask = labels.mask(0, labels.size(0))
    assert mask is not None
    assert rle_window(mask if isinstance(mask, RLE) else polygon_to_rle(mask, labels.size(0))) == (X1, Y1, X2, Y2)


def test_a_label_image_above_the_limit_is_read_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_images, "read_values", partial(read_values, max_pixels=1000))
    numbers = np.zeros((300, 400), np.uint32)
    numbers[20:50, 30:90], numbers[100:300, 399], numbers[0, 0] = 70_000, 2, 2
    for folder, values in (("images", np.zeros((300, 400), np.uint8)), ("masks", numbers)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "slide.tif", values, tile=(64, 64))
    labels = read_any(open_labels(tmp_path, None), None, check_files=True).labels
    found = [labels.mask(number, (300, 400)) for number in range(2)]
    assert [rle.counts.tolist() for rle in found if isinstance(rle, RLE)] == [
        encode_rle((numbers == value).astype(np.uint8)).counts.tolist() for value in (2, 70_000)
    ]
