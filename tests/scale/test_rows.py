"""Rows of names, as a program of somebody else asks for them."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.build import build_model
from maskrcnn.errors import UserError
from maskrcnn.large.shrinking import ShrunkImage
from maskrcnn.loading import load, model_hash
from maskrcnn.model import Model
from maskrcnn.presets import preset
from maskrcnn.scale.pictures import read_ahead
from maskrcnn.scale.rows import Job, RowMaker
from maskrcnn.structures import Categories
from maskrcnn.weights import save_model


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(0)
    config = preset("tiny")
    path = tmp_path / "tiny.safetensors"
    save_model(path, build_model(config, 2), config, Categories((3, 7), ("round", "long")), {"score_threshold": 0.0125})
    return str(path)


def test_a_job_says_what_the_command_line_says(model: str) -> None:
    job = Job.of(model, max_detections=3, tile=128, overlap=16, background=2)
    settings = job.settings
    assert (settings.score_threshold, settings.tiles) == (0.0125, "128, overlap 16, background 2")
    assert settings.model == model_hash(model) and pickle.loads(pickle.dumps(job)) == job
    with pytest.raises(UserError, match="nuclie"):
        Job.of("nuclie")


def test_rows_come_in_order_with_broken_ones_between(model: str, tmp_path: Path) -> None:
    names = []
    for number in range(7):
        names.append(f"{tmp_path}/{number}.png")
        size = (64, 48) if number % 2 else (48, 64)
        Image.fromarray(np.full((*size, 3), 30 * number, np.uint8)).save(names[-1])
    names.insert(3, f"{tmp_path}/missing.png")
    names.insert(5, str(tmp_path))
    one_by_one = list(RowMaker(Job.of(model, max_detections=2)).rows(iter(names)))
    assert [row["file_name"] for row in one_by_one] == names
    errors = {Path(row["file_name"]).name: row["error"] for row in one_by_one if row["error"] is not None}
    assert errors.keys() == {"missing.png", tmp_path.name}
    assert "no such file; expected an image" in errors["missing.png"] and "got a folder" in errors[tmp_path.name]
    in_batches = list(RowMaker(Job.of(model, max_detections=2, batch_size=3)).rows(names))
    assert [(row["file_name"], len(row["objects"]), row["width"]) for row in in_batches] == [
        (row["file_name"], len(row["objects"]), row["width"]) for row in one_by_one
    ]
    assert all(json.dumps(row) for row in one_by_one) and one_by_one[0]["seconds"] > 0


def test_a_job_without_tiles_logs_no_advice(model: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """`predict_large` is none of its words: `Job.tile` says what is cut."""
    Image.new("RGB", (3000, 40)).save(tmp_path / "wide.png")
    name = str(tmp_path / "wide.png")
    with pytest.warns(ShrunkImage):
        load(model).predict(name)
    recwarn.clear()
    (row,) = RowMaker(Job.of(model, tile="none")).rows([name])
    assert row["width"] == 3000 and not [str(warning.message) for warning in recwarn]


def test_only_a_few_images_are_read_ahead(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    asked: list[int] = []
    names = (asked.append(number) or str(tmp_path / "a.png") for number in range(1000))  # type: ignore[func-returns-value]
    pictures = read_ahead(names, "auto", preset("nuclei"))
    for _ in range(3):
        next(pictures)
    pictures.close()  # type: ignore[attr-defined]
    assert 3 <= len(asked) < 20


def test_an_image_that_there_is_no_memory_for_is_named(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Model, "predict_pass", refuse)
    with pytest.raises(UserError, match=r"a\.png: out of memory"):
        list(RowMaker(Job.of(model)).rows([str(tmp_path / "a.png")]))


def test_a_model_of_pixels_is_refused(tmp_path: Path) -> None:
    config = preset("tiny")
    config = replace(config, semantic_head=replace(config.semantic_head, enabled=True))
    save_model(tmp_path / "pixels.safetensors", build_model(config, 2), config, Categories((3, 7), ("a", "b")), {})
    with pytest.raises(UserError, match="tells the class of every pixel, which rows have no place for"):
        RowMaker(Job.of(str(tmp_path / "pixels.safetensors")))
