"""What the tests of the commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.build import build_model
from maskrcnn.cli.main import main
from maskrcnn.presets import preset
from maskrcnn.structures import Categories
from maskrcnn.weights import save_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: exit code, standard output, standard error."""

    def run_command(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights and two classes."""
    torch.manual_seed(0)
    config = preset("tiny")
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    categories = Categories((3, 7), ("round", "long"))
    save_model(path, build_model(config, 2), config, categories, {})
    return path


@pytest.fixture
def persons(dataset: Path) -> Path:
    """The same images and objects, each with two keypoints and a third one that is not labelled, as COCO names them."""
    for split in ("train", "val"):
        content = json.loads((dataset / f"instances_{split}.json").read_text())
        names = {"keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]}
        content["categories"] = [{"id": 3, "name": "person", **names}]
        for annotation in content["annotations"]:
            annotation |= {"keypoints": [22, 12, 2, 40, 25, 1, 0, 0, 0], "num_keypoints": 2}
        (dataset / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four images of bright squares, two to train on and two to validate on, in COCO's layout."""
    folder = tmp_path / "squares"
    (folder / "images").mkdir(parents=True)
    for split, numbers in (("train", (1, 2)), ("val", (3, 4))):
        images, annotations = [], []
        for number in numbers:
            pixels = np.zeros((48, 64, 3), np.uint8)
            pixels[10:30, 20:44] = 200
            pixels[0, 0] = number  # no picture is a copy of another
            Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
            annotations.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 3,
                    "iscrowd": 0,
                    "area": 480,
                    "bbox": [20, 10, 24, 20],
                    "segmentation": [[20, 10, 44, 10, 44, 30, 20, 30]],
                }
            )
        categories = [{"id": 3, "name": "round"}, {"id": 7, "name": "long"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    return folder
