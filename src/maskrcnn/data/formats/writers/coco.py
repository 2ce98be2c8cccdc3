"""COCO: `images/`, and `instances_SPLIT.json` for each split, or one `instances.json`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from maskrcnn.data.formats.content import Json
from maskrcnn.data.formats.writers.scene import Loss, Scene, copy_picture
from maskrcnn.files import make_folder
from maskrcnn.json_values import write_json


def write(scene: Scene, folder: Path) -> Loss:
    by_image = defaultdict(list)
    for entry in scene.coco["annotations"]:
        by_image[entry["image_id"]].append(entry)
    for split in sorted({picture.split for picture in scene.pictures}):
        images, annotations = [], []
        for image, picture in zip(scene.coco["images"], scene.pictures, strict=True):
            if picture.split != split:
                continue
            copy_picture(picture.source, folder / "images" / picture.name)
            images.append({**image, "file_name": picture.name})
            annotations += by_image[image["id"]]
        rest = {name: part for name, part in scene.coco.items() if name != "annotations"} | {"images": images}
        save_instances(folder / (f"instances_{split}.json" if split else "instances.json"), rest, annotations)
    return Loss()


def save_instances(path: Path, rest: Json, annotations: Iterable[Json]) -> None:
    """A file of `rest` (images, categories, ...) and of annotations that may come one by one."""
    make_folder(path.parent)
    write_json(path, annotations, f'{json.dumps(rest, allow_nan=False)[:-1]}, "annotations": ', "}")
