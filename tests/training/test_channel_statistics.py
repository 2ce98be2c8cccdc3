"""Mean and spread of channels, against NumPy on all pixels at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.config import Augmentation
from maskrcnn.data.channels import Channels
from maskrcnn.data.coco import read_coco
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.presets import preset
from maskrcnn.settings import update_config
from maskrcnn.training.channel_statistics import channel_statistics, with_measured_channels

HEIGHTS = (8, 30, 11)


@pytest.fixture
def pictures() -> list[Any]:
    generator = np.random.default_rng(0)
    return [
        np.dstack([generator.integers(9, 99, (h, 20, 3), np.uint8), np.full((h, 20, 1), 51, np.uint8)]) for h in HEIGHTS
    ]


@pytest.fixture
def dataset(tmp_path: Path, pictures: list[Any]) -> CocoDataset:
    for n, picture in enumerate(pictures):
        np.save(tmp_path / f"{n}.npy", picture)
    listed = [{"id": n, "file_name": f"{n}.npy", "height": h, "width": 20} for n, h in enumerate(HEIGHTS)]
    content = {"images": listed, "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "x.json").write_text(json.dumps(content))
    data = read_coco(tmp_path / "x.json", tmp_path, channels=Channels(4, rgb=False))
    return CocoDataset(data, Augmentation(), preset("tiny").input)


def test_all_pixels_count_alike(dataset: CocoDataset, pictures: list[Any]) -> None:
    pixels = np.concatenate([picture.reshape(-1, 4) for picture in pictures]) / 255
    mean, std = channel_statistics(dataset, [0, 1, 2])
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std[:3], pixels.std(axis=0)[:3], rtol=1e-9)
    assert (mean[3], std[3]) == (0.2, 1 / 255)  # one value: nothing to divide by


def test_open_settings_are_filled_in(dataset: CocoDataset) -> None:
    said: list[str] = []
    open_ = update_config(preset("tiny"), {"input": {"channels": 4}}, "here")
    config = with_measured_channels(open_, dataset, said.append)
    assert config.input.mean[3] == 0.2 and len(config.input.std) == 4
    assert said == ["input.mean, input.std: measured on 3 training image(s), 4 channel(s)"]
    assert with_measured_channels(config, dataset, said.append) is config and len(said) == 1
