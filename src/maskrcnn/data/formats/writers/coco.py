"""COCO: `images/`, and `instances_SPLIT.json` for each split, or one `instances.json`."""

from __future__ import annotations

import json
from pathlib import Path

from maskrcnn.data.formats.writers.scene import Loss, Scene, copy_picture, save


def write(scene: Scene, folder: Path) -> Loss:
    for split in sorted({picture.split for picture in scene.pictures}):
        images, annotations = [], []
        for image, picture in zip(scene.coco["images"], scene.pictures, strict=True):
            if picture.split != split:
                continue
            copy_picture(picture, folder / "images" / picture.name)
            images.append({**image, "file_name": picture.name})
            annotations += [entry for entry in scene.coco["annotations"] if entry["image_id"] == image["id"]]
        content = {**scene.coco, "images": images, "annotations": annotations}
        save(folder / (f"instances_{split}.json" if split else "instances.json"), json.dumps(content))
    return Loss()
