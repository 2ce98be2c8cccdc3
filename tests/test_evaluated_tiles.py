"""Evaluation by tiles, with a detector that is never wrong: an object missed, cut or found twice would cost AP."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from large.drawn import CATEGORIES, find_colours
from large.test_tiling import layout
from maskrcnn.config import Config, InputConfig
from maskrcnn.config.data import DataConfig
from maskrcnn.data.windowed import files
from maskrcnn.errors import UserError
from maskrcnn.evaluation import parts
from maskrcnn.evaluator import evaluate
from maskrcnn.masks.regions import labelled_regions
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import Predictor
from maskrcnn.scoring import evaluate_predictions

tifffile = pytest.importorskip("tifffile", reason="needs tifffile")

SIZE = (900, 500)


class Colours(Predictor[Any]):
    """Finds every colour; remembers the pictures that it was shown."""

    categories = CATEGORIES
    config = Config()
    summary: ClassVar[dict[str, Any]] = {"object_sizes": {"0.95": 30.0}}
    name = "colours"

    def __init__(self, **data: Any) -> None:
        self.config = replace(Config(), data=DataConfig(**data), input=InputConfig(mean=(0.0, 0.0, 0.0)))
        self.seen: list[tuple[int, ...]] = []

    @property
    def branches(self) -> Collection[str]:
        return ("mask_head",)

    @property
    def place(self) -> str:
        return "paper"

    def stream(self, sources: Any, *_: Any, proposals: Any = None, **__: Any) -> Iterator[Prediction]:
        def shown() -> Iterator[np.ndarray]:
            for picture in sources:
                self.seen.append(picture.shape[:2])
                yield picture

        return find_colours(shown())

    def _read(self, source: Any) -> Any: ...

    def _padded_size(self, image: Any) -> Any: ...

    def predict_pass(self, *_: Any) -> Any: ...


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """`slide.tif` in tiles of 64 pixels, and its labels."""
    numbers = layout(3, size=SIZE)
    part = numbers.astype(np.uint32)
    pixels = np.stack([part & 255, part >> 8 & 255, part >> 16], axis=2).astype(np.uint8)
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "slide.tif", pixels, tile=(64, 64), photometric="rgb")
    annotations = []
    for number, rle in labelled_regions(numbers):
        x1, y1, x2, y2 = rle_window(rle)
        mask = {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": rle_to_coco(rle), "iscrowd": 0}
        annotations.append({"id": number, "image_id": 1, "category_id": 1, **mask})
    write(tmp_path, [{"id": 1, "file_name": "slide.tif", "height": 900, "width": 500}], annotations)
    return tmp_path


def write(folder: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> None:
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "labels.json").write_text(json.dumps(content))


@pytest.mark.parametrize("tile", [256, "auto"])
def test_what_is_found_in_tiles_is_matched_in_the_pixels_of_the_whole(
    slide: Path, tile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit of a whole image counts, and no file is decoded as a whole."""
    monkeypatch.setattr(files, "read_labelled_pixels", lambda *_: pytest.fail("decoded as a whole"))
    model = Colours(max_pixels=SIZE[0] * SIZE[1] - 1)
    lines: list[str] = []
    metrics = evaluate(
        model, slide / "labels.json", output=slide / "out", tile=tile, overlap=64, max_detections=5, say=lines.append
    )
    assert metrics["mask"]["AP"] == metrics["box"]["AP"] == 1
    assert len(model.seen) > 1
    assert len(set(model.seen)) == 1, "tiles are alike"
    assert metrics.max_detections == metrics["mask"].classes[0].num_truths > 20
    assert not any("max_detections" in warning for warning in metrics.warnings)
    assert (slide / "out" / "report.html").stat().st_size > 10_000
    given = evaluate_predictions(
        slide / "labels.json", slide / "out" / "predictions.json", max_detections=1000, say=lines.append
    )
    assert given["mask"].summary["AP"] == 1


def test_an_image_that_is_not_cut_is_seen_whole(slide: Path) -> None:
    for tile in ("auto", "none"):
        model = Colours()
        assert evaluate(model, slide / "labels.json", tile=tile, max_detections=1000, say=str)["mask"]["AP"] == 1
        assert model.seen == [SIZE]


def test_images_keep_their_order_and_broken_ones_are_named(slide: Path) -> None:
    """The file of the third ends in the middle of its fourth tile."""
    folder, content = slide / "images", json.loads((slide / "labels.json").read_text())
    with tifffile.TiffFile(folder / "slide.tif") as tiff:
        end = tiff.pages[0].dataoffsets[3] + 5
    (folder / "broken.tif").write_bytes((folder / "slide.tif").read_bytes()[:end])
    for name in ("small.png", "other.png"):
        Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(folder / name)
    names = {"small.png": (40, 50), "slide.tif": SIZE, "broken.tif": SIZE, "other.png": (40, 50)}
    images = [
        {"id": number, "file_name": name, "height": height, "width": width}
        for number, (name, (height, width)) in enumerate(names.items(), start=1)
    ]
    write(slide, images, [{**entry, "image_id": 2} for entry in content["annotations"]])
    metrics = evaluate(Colours(max_pixels=100_000), slide / "labels.json", overlap=64, say=str)
    assert metrics["mask"]["AP"] == 1
    assert [image.image_id for image in metrics["mask"].images] == [1, 2, 4]
    assert any("broken.tif" in warning for warning in metrics.warnings)


def test_a_huge_file_that_cannot_be_read_in_parts_is_one_clear_line(slide: Path) -> None:
    with Image.open(slide / "images" / "slide.tif") as image:
        image.save(slide / "images" / "slide.png")
    text = (slide / "labels.json").read_text()
    (slide / "labels.json").write_text(text.replace("slide.tif", "slide.png"))
    with pytest.raises(UserError, match=r"more than the limit of 1000; raise data.max_pixels") as error:
        evaluate(Colours(max_pixels=1000), slide / "labels.json", say=str)
    assert "\n" not in str(error.value)


def test_pictures_of_a_huge_image_are_parts_of_it(slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_PIXELS", 10_000)
    monkeypatch.setattr(parts.crowded, "__defaults__", (100,))
    content = json.loads((slide / "labels.json").read_text())
    dropped = content["annotations"].pop(3)
    (slide / "labels.json").write_text(json.dumps(content))
    evaluate(Colours(), slide / "labels.json", output=slide / "out", tile=256, overlap=64, say=str)
    html = (slide / "out" / "report.html").read_text()
    x, y, width, height = dropped["bbox"]
    place = re.search(r"slide.tif, x (\d+) to (\d+), y (\d+) to (\d+)", html)
    assert place is not None
    x1, x2, y1, y2 = map(int, place.groups())
    assert x1 <= x + width / 2 <= x2 and y1 <= y + height / 2 <= y2, "where the error is"


def test_tiles_and_proposals_exclude_each_other(slide: Path) -> None:
    (slide / "boxes.json").write_text("[]")
    with pytest.raises(UserError, match="proposals are given for whole images"):
        evaluate(Colours(), slide / "labels.json", proposals=slide / "boxes.json", tile=256, say=str)
