from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskrcnn.errors import UserError
from maskrcnn.runtime.contract import FORMAT, KEY, contract_of
from runtime.graphs import CONTRACT

PATH = Path("model.onnx")


def test_what_is_written_is_read() -> None:
    assert contract_of(PATH, {KEY: json.dumps(CONTRACT.to_json())}) == CONTRACT
    assert CONTRACT.default_max_detections == 7


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": FORMAT + 1}, "this version reads format"),
        ({"config": {"rpn": {"nms_threshold": 7}}}, "rpn.nms_threshold"),
        ({"config": []}, "problem"),
        ({"categories": [{"id": 1}]}, "problem"),
        ({"outputs": {"secrets": ""}}, "that this version knows"),
        ({"graph_crc32": None}, "problem"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_one_line(change: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        contract_of(PATH, {KEY: json.dumps({**CONTRACT.to_json(), **change})})
    assert str(caught.value).startswith("model.onnx: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("metadata", [{}, {"other": "1"}])
def test_a_foreign_file(metadata: dict[str, str]) -> None:
    with pytest.raises(UserError, match="not written by maskrcnn export"):
        contract_of(PATH, metadata)
    with pytest.raises(UserError, match="problem"):
        contract_of(PATH, {KEY: "[" * 100_000})
