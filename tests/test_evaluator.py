"""A whole evaluation, with a network that knows the answers."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from maskrcnn.config import Config, EvaluationConfig
from maskrcnn.data.coco import read_coco
from maskrcnn.dataset_prediction import predict_dataset
from maskrcnn.errors import UserError
from maskrcnn.evaluator import evaluate
from maskrcnn.model import Model
from maskrcnn.structures import Categories, Detections, KeypointSchema

Box = tuple[int, int, int, int]

CELL = Categories((1,), ("cell",))
CORNERS = KeypointSchema(("left_top", "right_bottom"), ((0, 1),))
CORNERED = Categories((1,), ("cell",), (CORNERS,))
BOXES: dict[tuple[int, int], list[Box]] = {
    (40, 60): [(5, 5, 25, 20), (30, 10, 50, 38)],
    (50, 30): [(2, 20, 20, 44)],
    (32, 32): [],
}
"""The objects of each image, by its (height, width)."""


class Oracle(nn.Module):
    """Finds the objects of `BOXES` in an image of that size; records how it was asked."""

    def __init__(self, *, masks: bool = True, keypoints: bool = False, label: int = 0) -> None:
        super().__init__()
        self.preprocess = SimpleNamespace(padded_size=lambda image: (32, 32))  # so that all images share a pass
        enabled = {"mask_head": masks, "keypoint_head": keypoints}
        self.roi_branches = {name: nn.Identity() for name, wanted in enabled.items() if wanted}
        self.dense_branches: dict[str, nn.Module] = {}
        self.label = label
        self.asked: list[tuple[int, float | None, int | None]] = []
        self.proposals: list[Tensor] = []

    def predict(
        self,
        images: Sequence[Tensor],
        *,
        proposals: Sequence[Tensor] | None = None,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> list[Detections]:
        self.proposals += proposals or []
        self.asked.append((len(images), score_threshold, max_detections))
        return [self.detections((image.shape[1], image.shape[2])) for image in images]

    def detections(self, size: tuple[int, int]) -> Detections:
        boxes = torch.tensor(BOXES[size], dtype=torch.float32).reshape(-1, 4)
        count = len(boxes)
        probs = torch.ones(count, 28, 28) if "mask_head" in self.roi_branches else None
        corners = torch.cat([boxes.view(count, 2, 2), torch.ones(count, 2, 1)], dim=2)
        keypoints = corners if "keypoint_head" in self.roi_branches else None
        return Detections(boxes, torch.full((count,), 0.9), torch.full((count,), self.label), probs, size, keypoints)


def model_of(network: Oracle, categories: Categories = CELL, **evaluation: int) -> Model:
    config = Config(evaluation=EvaluationConfig(**evaluation))
    return Model(network, categories, config, accelerate=False)  # type: ignore[arg-type]


def annotation(image_id: int, box: Box) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    return {
        "image_id": image_id,
        "category_id": 7,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, one of them without objects; the class has an id the model does not use."""
    images, annotations = [], []
    for image_id, ((height, width), boxes) in enumerate(BOXES.items(), start=10):
        name = f"sub/{image_id}.png"
        (tmp_path / "images/sub").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(tmp_path / "images" / name)
        images.append({"id": image_id, "width": width, "height": height, "file_name": name})
        annotations += [annotation(image_id, box) for box in boxes]
    write(tmp_path, images, annotations)
    return tmp_path


def write(
    folder: Path,
    images: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
    categories: Sequence[dict[str, Any]] = ({"id": 7, "name": "cell"},),
) -> None:
    numbered = [{**a, "id": i} for i, a in enumerate(annotations, start=1)]
    content = {"images": images, "annotations": numbered, "categories": list(categories)}
    (folder / "truth.json").write_text(json.dumps(content))


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return content


def run(folder: Path, model: Model, output: Path | None = None, **options: Any) -> tuple[Any, str]:
    lines: list[str] = []
    metrics = evaluate(model, folder / "truth.json", folder / "images", output, say=lines.append, **options)
    return metrics, "\n".join(lines)


def test_a_perfect_model_scores_one_and_leaves_its_files(folder: Path) -> None:
    metrics, printed = run(folder, model_of(Oracle()), folder / "out")
    assert metrics["mask"]["AP"] == metrics["box"]["AP"] == pytest.approx(1.0)
    assert metrics["mask"]["per_image_ap"] == 1.0 and metrics.warnings == () and metrics.num_images == 3
    assert "max_detections (maxDets) = 100" in printed
    assert json.loads((folder / "out/metrics.json").read_text()) == metrics.to_dict()
    report = (folder / "out/report.html").read_text()
    assert "(image 10): found 2 of 2" in report and f"<title>{model_of(Oracle()).name} on truth.json</title>" in report
    first = json.loads((folder / "out/predictions.json").read_text())[0]
    assert (first["image_id"], first["category_id"], first["file_name"]) == (10, 7, "sub/10.png")
    assert first["bbox"] == [5, 5, 20, 15] and first["segmentation"]["size"] == [40, 60]


def test_without_output_nothing_is_written(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    run(folder, model_of(Oracle()))
    assert sorted(folder.rglob("*")) == before
    run(folder, model_of(Oracle()), folder / "out", report=False)
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["metrics.json", "predictions.json"]


@pytest.mark.parametrize(("asked", "limit"), [(None, 321), (17, 17)])
def test_model_and_metrics_share_the_limit(folder: Path, asked: int | None, limit: int) -> None:
    network = Oracle()
    metrics, printed = run(folder, model_of(network, max_detections=321), max_detections=asked, batch_size=2)
    threshold = Config().box_head.score_threshold
    assert network.asked == [(2, threshold, limit), (1, threshold, limit)]
    assert metrics.max_detections == limit and f"(maxDets) = {limit}" in printed and f"AR{limit}" in printed


def test_classes_meet_by_name(folder: Path) -> None:
    content = content_of(folder)
    categories = [{"id": 3, "name": "dish"}, {"id": 7, "name": "cell"}]
    write(folder, content["images"], content["annotations"], categories)
    model = model_of(Oracle(label=1), Categories((1, 2), ("car", "cell")))
    metrics, _ = run(folder, model)
    assert metrics["mask"]["AP"] == pytest.approx(1.0)
    assert metrics.warnings == (
        "classes unknown to the model, so never found: dish",
        "classes unknown to the data set, so not counted: car",
    )
    metrics, _ = run(folder, model_of(Oracle(label=0), model.categories))
    assert metrics["mask"]["AP"] == 0.0 and metrics["mask"].classes[1].num_predictions == 0


def test_no_class_in_common(folder: Path) -> None:
    with pytest.raises(UserError, match=r"truth\.json: expected a class of the model \(car\), got cell; .* by name"):
        run(folder, model_of(Oracle(), Categories((1,), ("car",))))


def test_models_and_data_without_masks_are_measured_by_their_boxes(folder: Path) -> None:
    metrics, _ = run(folder, model_of(Oracle(masks=False)), folder / "out")
    assert list(metrics.by_type) == ["box"] and metrics["box"]["AP"] == pytest.approx(1.0)
    assert (folder / "out/report.html").exists()
    content = content_of(folder)
    boxes = [{k: v for k, v in a.items() if k != "segmentation"} for a in content["annotations"]]
    write(folder, content["images"], boxes)
    metrics, _ = run(folder, model_of(Oracle()))
    assert list(metrics.by_type) == ["box"] and metrics["box"]["AP"] == pytest.approx(1.0)


def test_unreadable_images_are_left_out_and_named(folder: Path) -> None:
    path = folder / "images/sub/11.png"
    path.write_bytes(path.read_bytes()[:60])
    (folder / "images/sub/12.png").unlink()
    metrics, printed = run(folder, model_of(Oracle()), folder / "out")
    assert metrics.num_images == 1 and metrics["mask"]["AP"] == pytest.approx(1.0)
    assert any("11.png" in warning for warning in metrics.warnings)
    assert any("file not found" in warning for warning in metrics.warnings) and "warning: " in printed


def test_no_readable_image_at_all(folder: Path) -> None:
    for path in (folder / "images/sub").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"none of the images can be read; the first: .*10\.png"):
        run(folder, model_of(Oracle()))


def test_a_name_is_no_model(folder: Path) -> None:
    with pytest.raises(UserError, match=r"evaluate: expected a model, such as load\('nuclei'\), got 'nuclei'"):
        evaluate("nuclei", folder / "truth.json", folder)  # type: ignore[arg-type]


def test_an_output_that_cannot_be_written_is_told_before_the_work(folder: Path) -> None:
    (folder / "taken").write_text("a file, not a folder")
    oracle = Oracle()
    with pytest.raises(UserError, match=r"taken: expected a folder to write into"):
        run(folder, model_of(oracle), folder / "taken")
    assert not oracle.asked


def test_results_of_predict_stay(folder: Path) -> None:
    """Their file has the name that an evaluation gives its own."""
    out = folder / "out"
    out.mkdir()
    for name in ("predictions.json", "predictions.jsonl"):
        (out / name).write_text("of predict")
    oracle = Oracle()
    with pytest.raises(UserError, match=r"out: results of predict.*choose another output"):
        run(folder, model_of(oracle), out)
    assert not oracle.asked and (out / "predictions.json").read_text() == "of predict"


def test_labels_made_on_the_stored_pixels_of_a_turned_photograph(folder: Path) -> None:
    """An EXIF orientation that the labels ignore is ignored for the model too, so that both see the same picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(folder / "images/turned.jpg", exif=exif)
    images = [{"id": 1, "width": 60, "height": 40, "file_name": "turned.jpg"}]
    write(folder, images, [annotation(1, box) for box in BOXES[40, 60]])
    metrics, _ = run(folder, model_of(Oracle()), folder / "out")
    assert metrics["mask"]["AP"] == pytest.approx(1.0)


def test_predict_dataset_numbers_images_and_raises_on_broken_ones(folder: Path) -> None:
    data = read_coco(folder / "truth.json", folder / "images")
    found = list(predict_dataset(model_of(Oracle()), data, 10, batch_size=2))
    assert [(number, len(prediction)) for number, prediction in found] == [(0, 2), (1, 1), (2, 0)]
    (folder / "images/sub/11.png").write_bytes(b"")
    errors: list[int] = []
    kept = predict_dataset(model_of(Oracle()), data, 10, batch_size=2, on_error=lambda number, _: errors.append(number))
    assert [number for number, _ in kept] == [0, 2] and errors == [1]
    with pytest.raises(UserError, match=r"11\.png"):
        list(predict_dataset(model_of(Oracle()), data, 10))


def test_memory_does_not_grow_with_the_number_of_images(folder: Path) -> None:
    """Twenty images of 1 megapixel with a full-size mask each would be 20 MB of bitmaps and 60 MB of pixels."""
    size, count = (1000, 1000), 20
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(folder / "images/large.png")
    images = [{"id": i, "width": 1000, "height": 1000, "file_name": "large.png"} for i in range(count)]
    write(folder, images, [annotation(i, (0, 0, 1000, 1000)) for i in range(count)])
    network = Oracle()
    network.detections = lambda size: Detections(  # type: ignore[method-assign]
        torch.tensor([[0.0, 0, 1000, 1000]]),
        torch.ones(1),
        torch.zeros(1, dtype=torch.int64),
        torch.ones(1, 28, 28),
        size,
    )
    tracemalloc.start()
    metrics, _ = run(folder, model_of(network))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert metrics["mask"]["AP"] == pytest.approx(1.0) and peak < 20e6, peak


def test_progress_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskrcnn.evaluator.PROGRESS_EVERY", 2)
    _, printed = run(folder, model_of(Oracle()))
    assert printed.startswith("2 of 3 images\nCOCO metrics")


# --- keypoints --------------------------------------------------------------------------------------------------


def label_corners(folder: Path, *names: str) -> None:
    """Each object's keypoints are the corners of its box, as the `Oracle` finds them; written in COCO's coordinates."""
    content = content_of(folder)
    content["categories"] = [{"id": 7, "name": "cell", "keypoints": list(names), "skeleton": [[1, 2]]}]
    for entry in content["annotations"]:
        x, y, width, height = entry["bbox"]
        entry["keypoints"] = [x - 0.5, y - 0.5, 2, x + width - 0.5, y + height - 0.5, 2]
    (folder / "truth.json").write_text(json.dumps(content))


@pytest.mark.parametrize("masks", [True, False])
def test_keypoints_are_compared_where_both_sides_have_them(folder: Path, masks: bool) -> None:
    label_corners(folder, *CORNERS.names)
    metrics, printed = run(folder, model_of(Oracle(masks=masks, keypoints=True), CORNERED), folder / "out")
    assert list(metrics.by_type) == (["mask"] if masks else []) + ["keypoints", "box"]
    assert metrics["keypoints"]["AP"] == pytest.approx(1.0) and "20 for keypoints" in printed
    written = json.loads((folder / "out" / "metrics.json").read_text())
    assert written["keypoints"]["AP"] == pytest.approx(1.0)
    results = json.loads((folder / "out" / "predictions.json").read_text())
    assert results[0]["keypoints"] == [4.5, 4.5, 1.0, 24.5, 19.5, 1.0]


@pytest.mark.parametrize("names", [("left_top", "tip"), ()])
def test_other_keypoints_are_told_of_and_not_compared(folder: Path, names: tuple[str, ...]) -> None:
    if names:
        label_corners(folder, *names)
    metrics, printed = run(folder, model_of(Oracle(keypoints=True), CORNERED))
    assert list(metrics.by_type) == ["mask", "box"]
    assert "keypoints are not compared: the classes of the data set have none, or others" in printed


def test_a_model_without_keypoint_branch_does_not_miss_them(folder: Path) -> None:
    label_corners(folder, *CORNERS.names)
    metrics, printed = run(folder, model_of(Oracle(), CORNERED))
    assert list(metrics.by_type) == ["mask", "box"] and "keypoints" not in printed
