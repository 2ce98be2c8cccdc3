"""A model in a file, and what `maskrcnn export` makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.exported import POSED, network_of, small
from maskrcnn.cli.main import main
from maskrcnn.weights import save_model


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    config = small()
    save_model(path, network_of(config), config, POSED, {"steps": 7})
    return path


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    assert main(["export", str(path), "--model", str(trained)]) == 0
    return path
