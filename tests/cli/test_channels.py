"""Images of five channels from labels to pictures, through the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import maskrcnn
from cli.conftest import Run
from maskrcnn.cli.main import main
from maskrcnn.settings import read_settings

FIVE = ("--set", "input.channels=5")
SIZES = ("--set", "input.min_size=64", "--set", "input.max_size=64")
SHORT = ("--preset", "tiny", "--init", "none", "--device", "cpu", *FIVE, *SIZES, "--set", "schedule.steps=2")


def five(rgb: Any) -> Any:
    """(H, W, 5) uint16 of (H, W, 3) bytes: ranges that differ, and a channel of one value."""
    grey = rgb.mean(axis=2, keepdims=True)
    return np.concatenate([rgb * [3.0, 40, 200], grey * 9 + 700, grey * 0 + 12], axis=2).astype(np.uint16)


def as_arrays(dataset: Path, save: Callable[[Path, Any], None] = np.save, ending: str = ".npy") -> None:
    """Every picture of a COCO data set in another form."""
    for picture in (dataset / "images").iterdir():
        save(picture.with_suffix(ending), five(np.asarray(Image.open(picture).convert("RGB"))))
        picture.unlink()
    for path in dataset.glob("*.json"):
        content = json.loads(path.read_text())
        for image in content["images"]:
            image["file_name"] = Path(image["file_name"]).with_suffix(ending).name
        path.write_text(json.dumps(content))


def save_pages(path: Path, pixels: Any) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, np.moveaxis(pixels, 2, 0), photometric="minisblack")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on noise of five channels."""
    folder = tmp_path_factory.mktemp("five")
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    for n in range(2):
        np.save(folder / "images" / f"{n}.npy", generator.integers(0, 9000, (48, 64, 5), np.uint16))
    corners = [8.0, 8, 30, 8, 30, 30, 8, 30]
    content = {
        "images": [{"id": n, "file_name": f"{n}.npy", "height": 48, "width": 64} for n in range(2)],
        "annotations": [{"id": n, "image_id": n, "category_id": 3, "segmentation": [corners]} for n in range(2)],
        "categories": [{"id": 3, "name": "round"}],
    }
    (folder / "instances_train.json").write_text(json.dumps(content))
    assert main(["train", "--data", str(folder), "--output", str(folder / "run"), *SHORT]) == 0
    return folder


def test_from_labels_to_pictures(run: Run, dataset: Path, tmp_path: Path) -> None:
    as_arrays(dataset, save_pages, ".tif")
    code, out, err = run("check", dataset, *FIVE, "--output", tmp_path / "page")
    assert code == 0 and err == "" and out.count("images decode") == 2
    code, _, err = run("train", "--data", dataset, "--output", tmp_path / "run", *SHORT)
    assert code == 0 and "input.mean, input.std: measured on 2 training image(s), 5 channel(s)" in err
    settings = read_settings(tmp_path / "run" / "config.yaml")["input"]
    assert len(settings["mean"]) == len(settings["std"]) == 5 and settings["mean"][4] == 0
    code, out, _ = run("evaluate", "--model", tmp_path / "run", "--data", dataset, "--output", tmp_path / "measured")
    assert code == 0 and "mask" in out and (tmp_path / "measured" / "report.html").is_file()
    options = ("--model", tmp_path / "run", "--score-threshold", "0", "--save", "csv,crops", "--device", "cpu")
    code, _, _ = run("predict", dataset / "images", "--output", tmp_path / "found", *options)
    pictures = list((tmp_path / "found").glob("*.png"))
    assert code == 0 and len(pictures) == len(list((dataset / "images").iterdir()))
    assert np.asarray(Image.open(pictures[0])).std() > 10  # something is to be seen
    longer = ("--device", "cpu", "--set", "schedule.steps=3")
    code, _, err = run("train", "--resume", "--output", tmp_path / "run", *longer)
    assert code == 0 and "continuing after step 2" in err and "measured" not in err


def test_files_of_other_channels_are_one_line(run: Run, dataset: Path, tmp_path: Path, trained: Path) -> None:
    as_arrays(dataset)
    code, _, err = run("check", dataset)
    assert code == 2 and "expected 3 channel(s) (input.channels), got 5" in err and err.count("\n") == 1
    np.save(tmp_path / "four.npy", np.zeros((32, 40, 4), np.uint8))
    found = ("--output", tmp_path / "found")
    code, _, err = run("predict", tmp_path / "four.npy", "--model", trained / "run", *found)
    assert code == 2 and err.splitlines()[-1].startswith("error: ")
    assert "four.npy: expected 5 channel(s) (input.channels), got 4" in err
    shutil.copy(tmp_path / "four.npy", next((dataset / "images").glob("*.npy")))
    code, _, err = run("check", dataset, *FIVE)
    assert code == 1 and err.count("expected 5 channel(s)") == 1


def test_predictions_in_python(trained: Path) -> None:
    model, path = maskrcnn.load(trained / "run", device="cpu"), trained / "images" / "0.npy"
    array = np.load(path)
    from_file, from_array = (model.predict(source, score_threshold=0.0) for source in (path, array))
    assert len(from_file) and np.array_equal(from_file.boxes, from_array.boxes)
    assert np.array_equal(model.predict(np.moveaxis(array, 2, 0), 0.0).scores, from_file.scores)
    tensor = torch.from_numpy(from_file.pixels()).permute(2, 0, 1)
    assert np.array_equal(model.predict(tensor, 0.0).scores, from_file.scores)
    assert len(model.predict(trained / "images")) == 2  # a folder of nothing but arrays
    assert from_file.pixels().shape == (48, 64, 5) and from_file.image().shape == (48, 64, 3)
    tiled = model.predict_large(path, tile=128, score_threshold=0.0)
    assert tiled.image_size == (48, 64) and tiled.image().shape == (48, 64, 3)
    for wrong in (array[..., :4], array[..., :3].astype(np.uint8), tensor[:4], Image.fromarray(from_file.image())):
        with pytest.raises(maskrcnn.UserError, match=r"expected .*5"):
            model.predict(wrong)


def test_drawn_channels_can_be_chosen(trained: Path) -> None:
    model = maskrcnn.load(trained / "run", device="cpu")
    model.config = replace(model.config, input=replace(model.config.input, drawn_channels=(4, 2, 4)))
    found, path = model.predict(trained / "images" / "0.npy"), trained / "images" / "0.npy"
    image, fifth = found.image(), np.load(path)[..., 4].astype(float)
    assert np.array_equal(image[..., 0], image[..., 2]) and not np.array_equal(image[..., 0], image[..., 1])
    assert np.corrcoef(image[..., 0].ravel(), fifth.ravel())[0, 1] > 0.999


def test_pages_that_are_not_read_are_told(run: Run, dataset: Path) -> None:
    as_arrays(dataset, save_pages, ".tif")
    code, out, _ = run("check", dataset)
    assert code == 0 and "5 channels in all pages, read as RGB; if they make one image: --set input.channels=5" in out


def test_what_is_left_open_is_shown(run: Run) -> None:
    code, out, _ = run("train", "--print-config", "--preset", "light", *FIVE)
    assert code == 0 and "  mean: []" in out and "  channels: 5" in out
