"""A model that cannot learn eight images by heart will not learn anything."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import maskrcnn

Content = dict[str, Any]


def read(path: Path) -> Content:
    content: Content = json.loads(path.read_text())
    return content


def first_eight(content: Content, among: Collection[int]) -> Content:
    """COCO annotations of the first eight images with an id `among` these."""
    images = [image for image in content["images"] if image["id"] in among][:8]
    chosen = {image["id"] for image in images}
    return {**content, "images": images, "annotations": [a for a in content["annotations"] if a["image_id"] in chosen]}


def learn_by_heart(folder: Path, preset: str, images: Path, content: Content, **size: Any) -> dict[str, Any]:
    """The metrics of 600 steps with a preset, learning from the same images that are measured."""
    labels = folder / "labels.json"
    labels.write_text(json.dumps(content))
    config = maskrcnn.preset(preset)
    files: dict[str, Any] = {"train_annotations": str(labels), "val_annotations": str(labels), "images": str(images)}
    config = replace(
        config,
        data=replace(config.data, **files),
        input=replace(config.input, **size),
        schedule=replace(config.schedule, steps=600),
    )
    return maskrcnn.train(config, folder / "run", device="cpu").metrics


@pytest.mark.slow
def test_the_tiny_preset_learns_eight_photographs_by_heart(shared: Path, tmp_path: Path) -> None:
    """Nearly the photographs' own size (600 x 800): at IoU 0.95 a pixel's width of outline counts."""
    source = shared / "data" / "fruits_nuts"
    full = read(source / "instances_train.json")
    content = first_eight(full, {image["id"] for image in full["images"]})
    metrics = learn_by_heart(tmp_path, "tiny", source / "images", content, min_size=512, max_size=800)
    assert metrics["mask"]["AP"] > 0.9


@pytest.mark.slow
def test_the_keypoints_of_eight_photographs_are_learned_by_heart(shared: Path, tmp_path: Path) -> None:
    """COCO's photographs are 640 pixels wide; at OKS 0.95 an eye must be met to a pixel or so."""
    source = shared / "data" / "coco_mini"
    full = read(source / "person_keypoints_train.json")
    content = first_eight(full, {a["image_id"] for a in full["annotations"] if a["num_keypoints"]})
    metrics = learn_by_heart(tmp_path, "keypoints_tiny", source / "images", content, min_size=384, max_size=512)
    assert metrics["keypoints"]["AP"] > 0.8
