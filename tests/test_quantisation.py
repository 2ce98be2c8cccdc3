"""An exported model in 8 bits, with labels that are what it finds itself."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import maskrcnn
from export.exported import POSED, exported_of, network_of, noise, small
from maskrcnn import quantisation
from maskrcnn.errors import UserError
from maskrcnn.export.recording import plain_copy
from maskrcnn.export.writing import recorded, write_exported
from maskrcnn.quantisation import write_int8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without verification, four images, and as their labels what it is sure of."""
    folder, config = tmp_path_factory.mktemp("int8"), small()
    network = network_of(config, spread=10)
    write_exported(folder / "exact.onnx", *recorded(plain_copy(network), config, POSED, "small"))
    model = exported_of(network, config)
    (folder / "images").mkdir()
    images, annotations = [], []
    for number in range(1, 5):
        picture = noise(96, 96 + 8 * number, seed=number)
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": 96, "width": 96 + 8 * number})
        for found in model.predict(picture, score_threshold=0.0, max_detections=3).to_coco(number):
            annotations.append({**found, "id": len(annotations) + 1, "iscrowd": 0, "area": 100})
    labels = {"images": images, "annotations": annotations, "categories": POSED.to_coco()}
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder


def test_in_8_bits(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most convolutions have weights of 8 bits; what decides stays float32; the file can be used."""
    monkeypatch.setattr(quantisation, "MOST_LOST", 1.0)
    lines: list[str] = []
    write_int8(folder / "exact.onnx", tmp_path / "a.onnx", folder / "images", folder / "labels.json", say=lines.append)
    assert "MB, AP" in lines[0]
    graph = onnx.load(tmp_path / "a.onnx").graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    kinds = Counter(
        (node.name.split("/")[1], makers.get(node.input[1])) for node in graph.node if node.op_type == "Conv"
    )
    assert kinds["backbone", "DequantizeLinear"] > 20 and kinds["backbone", None] == 1  # the stem
    assert kinds["mask_head", None] == 3 and kinds["rpn", None] == 2 * 5 and kinds["rpn", "DequantizeLinear"] == 5
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    bytes_of = [values for values in weights.values() if values.dtype == np.int8 and values.ndim == 4]
    assert len(bytes_of) == kinds["backbone", "DequantizeLinear"] + 1 and {abs(w).max() for w in bytes_of} == {64}
    rounded_first = [n.name for n in graph.node if n.op_type == "Relu" and makers.get(n.input[0]) == "DequantizeLinear"]
    assert not [name for name in rounded_first if name.startswith(("/backbone/", "/rpn/"))]
    small_file, exact = maskrcnn.load(tmp_path / "a.onnx"), maskrcnn.load(folder / "exact.onnx")
    said = json.loads((tmp_path / "a.json").read_text())
    assert said["precision"] == "int8" and said["measured"].keys() >= {"ap_float32", "ap_int8"}
    picture = noise(96, 104, seed=1)
    features = [model.predict(picture, 0.0, 5).scores for model in (small_file, exact)]
    np.testing.assert_allclose(*features, atol=0.15)


def test_where_accuracy_falls_nothing_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "MOST_LOST", -1.0)
    with pytest.raises(UserError, match=r"AP falls from [\d.]+ to [\d.]+ in 8 bits.* nothing was written"):
        write_int8(folder / "exact.onnx", tmp_path / "a.onnx", folder / "images", folder / "labels.json", say=str)
    assert list(tmp_path.iterdir()) == []
