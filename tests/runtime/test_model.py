"""Files that `load` takes for an exported model; what it does with a right one is tested where one is written."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import maskrcnn
from maskrcnn.errors import UserError
from maskrcnn.export.recording import with_contract
from maskrcnn.loading import load_network, model_facts, model_hash
from runtime.graphs import CONTRACT, plain


def test_what_an_exported_model_cannot_do(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(UserError, match=r"model\.onnx: no such file; expected an \.onnx file"):
        maskrcnn.load(path)
    with pytest.raises(UserError, match="no such file"):
        model_hash(path)
    with pytest.raises(UserError, match="no such file"):
        model_facts(path)
    with pytest.raises(UserError, match="expected a network, got an exported one"):
        load_network(path)
    with pytest.raises(UserError, match="expected float32"):
        maskrcnn.load(path, precision="bfloat16")
    with pytest.raises(UserError, match="has no network"):
        maskrcnn.load(path, accelerate=False)


def test_a_graph_that_was_changed(tmp_path: Path) -> None:
    content = with_contract(plain().SerializeToString(), CONTRACT)
    assert onnx.load_from_string(content).producer_name == "maskrcnn"
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(UserError, match="does not match its checksum, so the file is damaged"):
        maskrcnn.load(tmp_path / "model.onnx")
