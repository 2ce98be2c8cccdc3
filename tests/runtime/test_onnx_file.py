"""Files that are not what they seem; nothing of them reaches an engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from maskrcnn.errors import UserError
from maskrcnn.runtime.onnx_file import graph_checksum, read_onnx
from runtime.graphs import plain


def external() -> Any:
    """A weight that lies in a file elsewhere."""
    weight = TensorProto(name="one", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../../etc/passwd")
    return weight


def with_external_weight(model: Any) -> None:
    model.graph.initializer[0].CopyFrom(external())


def with_external_constant(model: Any) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external()))


def with_external_weight_of_a_branch(model: Any) -> None:
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=external())], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))


def with_foreign_operator(model: Any) -> None:
    model.graph.node[0].domain = "evil.example"


def with_function(model: Any) -> None:
    opset = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("f", "g", ["x"], ["y"], [], opset))


def test_metadata_and_checksum(tmp_path: Path) -> None:
    model = plain()
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    content, metadata = read_onnx(tmp_path / "a.onnx")
    assert metadata == {"maskrcnn": "Größe", "other": ""}
    before = graph_checksum(content)
    helper.set_model_props(model, {"maskrcnn": "something else"})
    assert graph_checksum(model.SerializeToString()) == before
    model.graph.node[0].op_type = "Sub"
    assert graph_checksum(model.SerializeToString()) != before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (with_external_weight, "external data"),
        (with_external_constant, "external data"),
        (with_external_weight_of_a_branch, "external data"),
        (with_foreign_operator, "operators alone"),
        (with_function, "with functions"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_refused(tmp_path: Path, change: Callable[[Any], None], expected: str) -> None:
    model = plain()
    change(model)
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=expected) as caught:
        read_onnx(path)
    assert str(caught.value).startswith(str(path))


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    """Cut anywhere, overwritten anywhere, or something else: read, or refused in one line."""
    whole, path = plain().SerializeToString(), tmp_path / "a.onnx"
    rng = np.random.default_rng(0)
    broken = [whole[:end] for end in range(len(whole))]
    for _ in range(200):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] = rng.integers(256)
        broken.append(bytes(changed))
    refused = 0
    for content in [
        *broken,
        b"",
        b"PK\x03\x04 archive",
        b"\xff" * 100,
        b"{}",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ]:
        path.write_bytes(content)
        try:
            read_onnx(path)
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > len(whole) / 2
