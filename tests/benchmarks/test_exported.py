from __future__ import annotations

from pathlib import Path

from benchmarks.exported import export, ours, seconds

from export.exported import network_of, noise, small
from maskrcnn.structures import Categories
from maskrcnn.weights import save_model


def test_every_engine_is_measured_beside_the_network(tmp_path: Path) -> None:
    config, categories = small(), Categories((3, 7), ("round", "long"))
    save_model(tmp_path / "model.safetensors", network_of(config, categories), config, categories, {})
    export(str(tmp_path / "model.safetensors"), tmp_path / "model.onnx")
    models = ours(str(tmp_path / "model.safetensors"), tmp_path / "model.onnx", 1)
    found = [model.predict(noise(64, 80)) for model in models.values()]
    assert [one.names for one in found] == [found[0].names] * len(models) and "PyTorch" in models
    taken = seconds(models, [noise(64, 80)], 1)
    assert taken.keys() == models.keys() and all(0 < value < float("inf") for value in taken.values())
