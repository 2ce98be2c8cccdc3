"""One scene in every form, as the tool of the form writes it: a 31 x 24 picture with a cat and a dog.

Both outlines have whole coordinates, so that polygons and bitmaps are the same pixels: the cat is a rectangle of 6 x 5
pixels, the dog an L of 80 pixels. Where a form has no outlines, the masks are drawn here with NumPy alone.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 31
CAT = [2, 3, 8, 3, 8, 8, 2, 8]
DOG = [12, 5, 22, 5, 22, 9, 16, 9, 16, 19, 12, 19]
OUTLINES = {"cat": CAT, "dog": DOG}
AREAS = {"cat": 30, "dog": 4 * 10 + 4 * 10}


def masks() -> dict[str, np.ndarray]:
    cat, dog = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    cat[3:8, 2:8] = True
    dog[5:9, 12:22] = True
    dog[9:19, 12:16] = True
    return {"cat": cat, "dog": dog}


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(path)


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def pairs(outline: list[int]) -> list[list[int]]:
    return [list(point) for point in zip(outline[::2], outline[1::2], strict=True)]


def png_text(mask: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def coco(folder: Path) -> None:
    picture(folder / "images/a.png")
    annotations = [
        {"id": 7 + k, "image_id": 5, "category_id": 9 + k, "segmentation": [OUTLINES[name]], "bbox": box, "iscrowd": 0}
        for k, (name, box) in enumerate({"cat": [2, 3, 6, 5], "dog": [12, 5, 10, 14]}.items())
    ]
    categories = [{"id": 9, "name": "cat"}, {"id": 10, "name": "dog"}]
    images = [{"id": 5, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}]
    write(folder / "result.json", {"images": images, "annotations": annotations, "categories": categories})


def labelme(folder: Path) -> None:
    """The dog is a bitmap, the cat a polygon."""
    picture(folder / "a.png")
    dog = masks()["dog"][5:19, 12:22]
    polygon = {"label": "cat", "points": pairs(CAT), "group_id": None, "shape_type": "polygon", "mask": None}
    bitmap = {"label": "dog", "points": [[12, 5], [21, 18]], "group_id": 1, "shape_type": "mask", "mask": png_text(dog)}
    content = {"version": "5.7.0", "flags": {}, "shapes": [polygon, bitmap], "imagePath": "a.png", "imageData": None}
    write(folder / "a.json", {**content, "imageHeight": HEIGHT, "imageWidth": WIDTH})


def yolo(folder: Path) -> None:
    picture(folder / "images/train/a.png")
    sides = (WIDTH, HEIGHT)
    lines = [
        " ".join([str(k), *(repr(value / sides[place % 2]) for place, value in enumerate(outline))])
        for k, outline in enumerate(OUTLINES.values())
    ]
    write(folder / "labels/train/a.txt", "\n".join(lines))
    write(folder / "data.yaml", "path: .\ntrain: images/train\nnames: [cat, dog]\n")


def label_images(folder: Path) -> None:
    picture(folder / "images/a.png")
    values = np.zeros((HEIGHT, WIDTH), np.uint16)
    for value, mask in zip((3, 700), masks().values(), strict=True):
        values[mask] = value
    save(folder / "masks/a.png", values)


def object_masks(folder: Path) -> None:
    picture(folder / "x1/images/x1.png")
    for name, mask in masks().items():
        save(folder / f"x1/masks/{name}/0.png", mask.astype(np.uint8) * 255)


def voc(folder: Path) -> None:
    picture(folder / "JPEGImages/a.png")
    objects, classes = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, (index, mask) in enumerate(zip((8, 12), masks().values(), strict=True), start=1):
        objects[mask], classes[mask] = number, index  # cat is the 8th, dog the 12th of VOC's classes
    objects[0], classes[0] = 255, 255
    for name, values in {"SegmentationObject": objects, "SegmentationClass": classes}.items():
        image = Image.fromarray(values, "P")
        image.putpalette(list(range(256)) * 3)
        (folder / name).mkdir(parents=True, exist_ok=True)
        image.save(folder / name / "a.png")
    write(folder / "ImageSets/Segmentation/train.txt", "a\n")


def cvat(folder: Path) -> None:
    """The dog is a bitmap, the cat a polygon."""
    picture(folder / "images/a.png")
    dog = masks()["dog"][5:19, 12:22].reshape(-1).astype(int)
    ends = np.flatnonzero(np.diff(dog, prepend=0, append=1 - dog[-1]))
    counts = ",".join(map(str, np.diff(ends, prepend=0)))
    points = ";".join(f"{x},{y}" for x, y in pairs(CAT))
    write(
        folder / "annotations.xml",
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><labels>'
        f"<label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>"
        f'<image id="0" name="a.png" width="{WIDTH}" height="{HEIGHT}"><polygon label="cat" points="{points}"/>'
        f'<mask label="dog" rle="{counts}" left="12" top="5" width="10" height="14"/></image></annotations>',
    )


def brush_bytes(mask: np.ndarray) -> list[int]:
    """A brush as Label Studio writes it, one record of single values after the other."""
    values = np.repeat(mask.reshape(-1).astype(np.uint8) * 255, 4)
    bits = [f"{len(values):032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in (3, 4, 8, 16))]
    for start in range(0, len(values), 256):
        part = values[start : start + 256]
        bits += ["0", "10", f"{len(part) - 1:08b}", *(f"{value:08b}" for value in part)]
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[place : place + 8], 2) for place in range(0, len(text), 8)]


def label_studio(folder: Path) -> None:
    """The dog is a brush, the cat a polygon."""
    picture(folder / "a.png")
    points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in pairs(CAT)]
    base = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    polygon = {**base, "id": "p", "type": "polygonlabels", "value": {"points": points, "polygonlabels": ["cat"]}}
    stroke = {"format": "rle", "rle": brush_bytes(masks()["dog"]), "brushlabels": ["dog"]}
    brush = {**base, "id": "b", "type": "brushlabels", "value": stroke}
    task = {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.png"}}
    write(folder / "export.json", [{**task, "annotations": [{"result": [polygon, brush], "was_cancelled": False}]}])


def via(folder: Path) -> None:
    picture(folder / "a.png")
    regions = [
        {
            "shape_attributes": {"name": "polygon", "all_points_x": outline[::2], "all_points_y": outline[1::2]},
            "region_attributes": {"kind": name},
        }
        for name, outline in OUTLINES.items()
    ]
    record = {"filename": "a.png", "size": 99, "regions": regions, "file_attributes": {}}
    write(folder / "via.json", {"_via_settings": {}, "_via_img_metadata": {"a.png99": record}})


def via_csv(folder: Path) -> None:
    picture(folder / "a.png")
    stream = io.StringIO()
    rows = csv.writer(stream)
    counts = ("region_count", "region_id", "region_shape_attributes", "region_attributes")
    rows.writerow(["filename", "file_size", "file_attributes", *counts])
    for number, (name, outline) in enumerate(OUTLINES.items()):
        shape = {"name": "polygon", "all_points_x": outline[::2], "all_points_y": outline[1::2]}
        rows.writerow(["a.png", 99, "{}", 2, number, json.dumps(shape), json.dumps({"kind": name})])
    write(folder / "via.csv", stream.getvalue())


SCENES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "coco": ("coco", coco),
    "labelme": ("labelme", labelme),
    "yolo": ("yolo", yolo),
    "label-images": ("label-images", label_images),
    "object-masks": ("object-masks", object_masks),
    "voc": ("voc", voc),
    "cvat": ("cvat", cvat),
    "label-studio": ("label-studio", label_studio),
    "via": ("via", via),
    "via-csv": ("via", via_csv),
}
"""A form, and who writes the scene in it."""

ONE_CLASS = ("label-images",)
"""Forms that do not tell classes apart."""
