"""Part of a data set: fewer images, evenly spaced, so that every run is short."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskrcnn import Config


def use_subset(
    config: Config, data: Path, folder: Path, num_train: int, num_val: int, categories: Sequence[str] = ()
) -> Config:
    """Settings that train and measure on at most so many images of a data directory.

    Args:
        config: any.
        data: holds `images/`, `instances_train.json`, `instances_val.json`.
        folder: where the shorter annotation files go.
        num_train: images to learn from.
        num_val: images to measure with.
        categories: names of those to keep; all if empty.
    """
    paths = {}
    for split, limit in (("train", num_train), ("val", num_val)):
        content = json.loads((data / f"instances_{split}.json").read_text(encoding="utf-8"))
        paths[split] = folder.resolve() / f"instances_{split}.json"
        paths[split].parent.mkdir(parents=True, exist_ok=True)
        paths[split].write_text(json.dumps(thinned(only(content, categories), limit)), encoding="utf-8")
    return replace(
        config,
        data=replace(
            config.data,
            root=str(data.resolve()),
            train_annotations=str(paths["train"]),
            val_annotations=str(paths["val"]),
        ),
    )


def thinned(content: dict[str, Any], limit: int) -> dict[str, Any]:
    """COCO annotations with at most `limit` images, evenly spaced in the file."""
    images = content["images"]
    count = min(limit, len(images))
    kept = [images[i * len(images) // count] for i in range(count)]
    ids = {image["id"] for image in kept}
    own = [annotation for annotation in content["annotations"] if annotation["image_id"] in ids]
    return {**content, "images": kept, "annotations": own}


def only(content: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """COCO annotations with the named categories alone; all of them if no name is given."""
    known = {category["name"] for category in content["categories"]}
    if unknown := set(names) - known:
        raise ValueError(f"expected some of {', '.join(sorted(known))}; got {', '.join(sorted(unknown))}")
    kept = [category for category in content["categories"] if not names or category["name"] in names]
    ids = {category["id"] for category in kept}
    own = [annotation for annotation in content["annotations"] if annotation.get("category_id") in ids]
    return {**content, "categories": kept, "annotations": own}


def num_classes(config: Config) -> int:
    """How many categories the settings' data have."""
    return len(json.loads(Path(config.data.train_annotations).read_text(encoding="utf-8"))["categories"])
