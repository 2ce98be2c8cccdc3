"""A model and data small enough to compute everything about them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maskrcnn.config import Config
from maskrcnn.data.dataset import Sample
from maskrcnn.models.losses import Losses
from maskrcnn.presets import preset
from maskrcnn.structures import Targets
from maskrcnn.training.loop import train


class StandIn(nn.Module):
    """Has `loss` like the model: every part is a mean over images."""

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 3)
        self.norm = nn.BatchNorm1d(3) if norm else nn.Identity()

    def loss(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets],
        *,
        proposals: Sequence[Tensor] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Losses:
        pixels = torch.stack([image.flatten() for image in images]).to(self.layer.weight) / 255
        parts = (self.norm(self.layer(pixels)) ** 2).mean(dim=0)
        return Losses(objectness=parts[0], rpn_box=parts[1], classification=parts[2], box=parts.sum())


@contextmanager
def single_thread() -> Iterator[None]:
    """Threads gain nothing on tensors this small, and cost a lot on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For every test here."""
    with single_thread():
        yield


@pytest.fixture
def stand_in() -> type[StandIn]:
    """The class of the stand-in model."""
    return StandIn


@pytest.fixture
def samples() -> list[Sample]:
    """Six images of 2 x 2 pixels without objects, named 0.png to 5.png."""
    return [_sample(number) for number in range(6)]


def _sample(number: int) -> Sample:
    pixels = torch.randint(0, 256, (3, 2, 2), generator=torch.Generator().manual_seed(number), dtype=torch.uint8)
    return Sample(pixels, Targets.empty((2, 2)), image_id=number, file_name=f"{number}.png", original_size=(2, 2))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Seven steps of the tiny model on four drawn images of 64 x 64 pixels; no val split."""
    return _seven_steps(tmp_path / "data")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of `config` to its end; a test that writes into it takes a copy."""
    folder = tmp_path_factory.mktemp("finished")
    with single_thread():
        train(_seven_steps(folder / "data"), folder / "run", device="cpu")
    return folder / "run"


@pytest.fixture(scope="session")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """As `config`, three steps without an average; of the images two are of one film, and one has the second class."""
    config = _seven_steps(tmp_path_factory.mktemp("uneven") / "data")
    path = Path(config.data.root) / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 1 or a["image_id"] == 3]
    content["images"] = [image | {"film": "ab"[image["id"] > 1]} for image in content["images"]]
    for name in ("train", "val"):
        path.with_name(f"instances_{name}.json").write_text(json.dumps(content))
    train, schedule = replace(config.train, ema_decay=0.0), replace(config.schedule, steps=3)
    return replace(config, train=train, schedule=schedule)


def _seven_steps(data: Path) -> Config:
    _draw_data_set(data)
    base = preset("tiny")
    return replace(
        base,
        input=replace(base.input, min_size=64, max_size=64),
        rpn=replace(base.rpn, pre_nms_top_k_train=100, post_nms_top_k_train=50),
        roi=replace(base.roi, samples_per_image=16),
        box_head=replace(base.box_head, fc_channels=16),
        data=replace(base.data, root=str(data), num_workers=0),
        augment=replace(base.augment, horizontal_flip=0.5, brightness=0.3),
        schedule=replace(base.schedule, steps=7, warmup_steps=2),
        train=replace(base.train, batch_size=2, ema_decay=0.9, checkpoint_every=1, log_every=1),
    )


def _draw_data_set(root: Path) -> None:
    """Bright rectangles of two classes on dark ground, as COCO files."""
    (root / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id in range(4):
        pixels = generator.integers(0, 60, (64, 64, 3), np.uint8)
        images.append({"id": image_id, "file_name": f"{image_id}.png", "width": 64, "height": 64})
        for category_id in (1, 2):
            x, y = (int(v) for v in generator.integers(0, 32, 2))
            pixels[y : y + 24, x : x + 24] = 120 * category_id
            corners = [x, y, x + 24, y, x + 24, y + 24, x, y + 24]
            box = [x, y, 24, 24]
            annotations.append(
                {"id": len(annotations), "image_id": image_id, "category_id": category_id, "iscrowd": 0}
                | {"bbox": box, "area": 576, "segmentation": [corners]}
            )
        cv2.imwrite(str(root / "images" / f"{image_id}.png"), pixels)
    categories = [{"id": 1, "name": "dim"}, {"id": 2, "name": "bright"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances_train.json").write_text(json.dumps(content))
