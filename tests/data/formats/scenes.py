"""One scene in every form, as the tool of the form writes it: a 31 x 24 picture with a cat and a dog.

Both outlines have whole coordinates, so that polygons and bitmaps are the same pixels: the cat is a rectangle of 6 x 5
pixels, the dog an L of 80 pixels. Where a form has no outlines, the masks are drawn here with NumPy alone.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import zlib
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
    named = "".join(f"<object><name>{name}</name><bndbox/></object>" for name in OUTLINES)
    write(folder / "Annotations/a.xml", f"<annotation><filename>a.png</filename>{named}</annotation>")


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


def panoptic(folder: Path) -> None:
    """A region of stuff lies around the objects."""
    picture(folder / "images/a.png")
    colours = np.full((HEIGHT, WIDTH, 3), (1, 2, 3), np.uint8)
    segments = [{"id": 1 + 2 * 256 + 3 * 65536, "category_id": 5, "iscrowd": 0}]
    for k, mask in enumerate(masks().values()):
        colours[mask] = (7 + k, 1, 0)
        segments.append({"id": 7 + k + 256, "category_id": 1 + k, "iscrowd": 0})
    save(folder / "annotations/panoptic_train/a.png", colours)
    categories = [{"id": 1 + k, "name": name, "isthing": 1} for k, name in enumerate(OUTLINES)]
    sky = {"id": 5, "name": "sky", "isthing": 0}
    write(
        folder / "annotations/panoptic_train.json",
        {
            "images": [{"id": 3, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
            "annotations": [{"image_id": 3, "file_name": "a.png", "segments_info": segments}],
            "categories": [*categories, sky],
        },
    )


def cityscapes(folder: Path) -> None:
    """The cat is a person, the dog a car; the rest is road."""
    picture(folder / "leftImg8bit/train/ulm/ulm_0_leftImg8bit.png")
    values = np.full((HEIGHT, WIDTH), 7, np.uint16)
    for value, mask in zip((24000, 26001), masks().values(), strict=True):
        values[mask] = value
    save(folder / "gtFine/train/ulm/ulm_0_gtFine_instanceIds.png", values)


def colour_masks(folder: Path) -> None:
    picture(folder / "images/a.jpg")
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for k, mask in enumerate(masks().values()):
        colours[mask] = (200, 100, k)
    save(folder / "masks/a.png", colours)
    write(folder / "labelmap.txt", "# label:color_rgb:parts:actions\ncat:200,100,0::\ndog:200,100,1::\n")


def supervisely(folder: Path) -> None:
    """The dog is a bitmap, the cat a polygon."""
    picture(folder / "set/img/a.png")
    stream = io.BytesIO()
    Image.fromarray(masks()["dog"][5:19, 12:22]).save(stream, "PNG")
    data = base64.b64encode(zlib.compress(stream.getvalue())).decode()
    polygon = {"classTitle": "cat", "geometryType": "polygon", "points": {"exterior": pairs(CAT), "interior": []}}
    bitmap = {"classTitle": "dog", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [12, 5]}}
    size = {"height": HEIGHT, "width": WIDTH}
    write(folder / "set/ann/a.png.json", {"size": size, "tags": [], "objects": [polygon, bitmap]})
    write(folder / "meta.json", {"classes": [{"title": "cat"}, {"title": "dog"}]})


def geojson(folder: Path) -> None:
    picture(folder / "a.png")
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[*pairs(outline), outline[:2]]]},
            "properties": {"objectType": "annotation", "classification": {"name": name, "color": [1, 2, 3]}},
        }
        for name, outline in OUTLINES.items()
    ]
    write(folder / "a.geojson", {"type": "FeatureCollection", "features": features})


def labelme_xml(folder: Path) -> None:
    """The dog is a mask, the cat a polygon."""
    picture(folder / "Images/x/a.png")
    alpha = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    alpha[masks()["dog"]] = (0, 0, 0, 9)
    save(folder / "Masks/x/a_mask_1.png", alpha)
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in pairs(CAT))
    write(
        folder / "Annotations/x/a.xml",
        f"<annotation><filename>a.png</filename><folder>x</folder><object><name>cat</name><deleted>0</deleted>"
        f"<polygon><username>me</username>{points}</polygon></object><object><name>dog</name>"
        f"<segm><mask>a_mask_1.png</mask></segm></object></annotation>",
    )


def mapillary(folder: Path) -> None:
    """The cat is the first object of the first class, value 0; the rest is a class without objects."""
    picture(folder / "training/images/a.png")
    values = np.full((HEIGHT, WIDTH), 2 * 256, np.uint16)
    for value, mask in zip((0, 256 + 3), masks().values(), strict=True):
        values[mask] = value
    save(folder / "training/instances/a.png", values)
    labels = [{"name": name, "instances": name != "sky"} for name in ("cat", "dog", "sky")]
    write(folder / "config.json", {"labels": labels})


def open_images(folder: Path) -> None:
    """Masks of twice the size."""
    picture(folder / "images/train/a.png")
    lines = ["MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"]
    for k, mask in enumerate(masks().values()):
        save(folder / f"masks/a_m{k}.png", np.kron(mask, np.ones((2, 2), bool)))
        lines.append(f"a_m{k}.png,a,/m/{k},x,0,1,0,1,0.9,")
    write(folder / "annotations/train-annotations-object-segmentation.csv", "\n".join(lines))
    write(folder / "annotations/class-descriptions.csv", "/m/0,cat\n/m/1,dog\n")


def ade20k(folder: Path) -> None:
    picture(folder / "training/a.jpg")
    objects = [{"name": name, "instance_mask": f"a/{name}.png", "parts": {"part_level": 0}} for name in OUTLINES] + [
        {"name": "tail", "instance_mask": "a/tail.png", "parts": {"part_level": 1}}
    ]
    for name, mask in masks().items():
        save(folder / f"training/a/{name}.png", mask.astype(np.uint8))
    write(folder / "training/a.json", {"annotation": {"filename": "a.jpg", "object": objects}})


def segment_anything(folder: Path) -> None:
    picture(folder / "a.jpg")
    objects = []
    for mask in masks().values():
        flat = mask.T.reshape(-1).astype(int)
        ends = np.flatnonzero(np.diff(flat, prepend=0, append=1 - flat[-1]))
        counts = np.diff(ends, prepend=0).tolist()
        objects.append({"id": len(objects), "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts}})
    for entry, box in zip(objects, ([2, 3, 6, 5], [12, 5, 10, 14]), strict=True):
        entry["bbox"] = box
    image = {"image_id": 1, "width": WIDTH, "height": HEIGHT, "file_name": "a.jpg"}
    write(folder / "a.json", {"image": image, "annotations": objects})


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
    "panoptic": ("panoptic", panoptic),
    "cityscapes": ("cityscapes", cityscapes),
    "colour-masks": ("colour-masks", colour_masks),
    "supervisely": ("supervisely", supervisely),
    "geojson": ("geojson", geojson),
    "labelme-xml": ("labelme-xml", labelme_xml),
    "mapillary": ("mapillary", mapillary),
    "open-images": ("open-images", open_images),
    "ade20k": ("ade20k", ade20k),
    "sa-1b": ("sa-1b", segment_anything),
}
"""A form, and who writes the scene in it."""

OTHER_NAMES = {
    "label-images": ["object", "object"],
    "sa-1b": ["object", "object"],
    "cityscapes": ["person", "car"],
}
"""Classes of the scene where a form has no names, or its own."""
