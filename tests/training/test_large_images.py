"""A run on an image that is never decoded as a whole: crops to learn from, tiles to measure on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.config import Config
from maskrcnn.data.windowed import files
from maskrcnn.models.losses import Losses
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.training.loop import train

tifffile = pytest.importorskip("tifffile", reason="needs tifffile")


class Crash(BaseException):
    """Stands for the process ending there and then."""


@pytest.fixture
def slide(config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Three steps on a slide of 300 x 260 pixels; tiles have 128, crops 64."""
    root = Path(config.data.root)
    pixels, annotations = np.full((260, 300, 3), 40, np.uint8), []
    for number, (x, y) in enumerate(((10, 20), (150, 30), (90, 120), (240, 200)), start=1):
        pixels[y : y + 24, x : x + 30] = 200
        ring = [x, y, x + 30, y, x + 30, y + 24, x, y + 24]
        place = {"bbox": [x, y, 30, 24], "segmentation": [ring], "area": 720, "iscrowd": 0}
        annotations.append({"id": number, "image_id": 1, "category_id": 1, **place})
    for split in ("train", "val"):
        tifffile.imwrite(root / "images" / f"{split}.tif", pixels, tile=(64, 64), photometric="rgb")
        pixels[0, 0] += 1  # the two are no copies
        images = [{"id": 1, "file_name": f"{split}.tif", "width": 300, "height": 260}]
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "box"}]}
        (root / f"instances_{split}.json").write_text(json.dumps(content))
    monkeypatch.setattr(files, "read_labelled_pixels", lambda *_: pytest.fail("decoded as a whole"))
    return replace(
        config,
        data=replace(config.data, max_pixels=70_000),
        augment=replace(config.augment, crop_size=64),
        schedule=replace(config.schedule, steps=3, warmup_steps=1),
    )


def run(config: Config, output: Path, **options: Any) -> bytes:
    return train(config, output, device="cpu", **options).last.read_bytes()


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """Of the images that the network has learned from."""
    seen, real = list[tuple[int, ...]](), MaskRCNN.loss

    def loss(self: MaskRCNN, images: Any, *arguments: Any, **options: Any) -> Losses:
        if len(seen) == CRASH_AFTER.get("images"):
            CRASH_AFTER.clear()
            raise Crash
        seen.extend(tuple(image.shape) for image in images)
        return real(self, images, *arguments, **options)

    monkeypatch.setattr(MaskRCNN, "loss", loss)
    yield seen
    CRASH_AFTER.clear()


CRASH_AFTER: dict[str, int] = {}


def test_crops_are_learned_from_and_tiles_are_measured(
    slide: Config, tmp_path: Path, shapes: list[tuple[int, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    """And a run that was broken off ends in the same bits."""
    whole = run(slide, tmp_path / "whole")
    assert shapes == [(3, 64, 64)] * 6
    assert "1 image too large for the network as a whole: seen in crops" in capsys.readouterr().err
    (found,) = (tmp_path / "whole").rglob("metrics.json")
    assert json.loads(found.read_text())["settings"]["num_images"] == 1
    CRASH_AFTER["images"] = len(shapes) + 4
    with pytest.raises(Crash):
        run(slide, tmp_path / "broken")
    assert run(slide, tmp_path / "broken", resume=True) == whole
