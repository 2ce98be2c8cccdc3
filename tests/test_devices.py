from __future__ import annotations

import pytest
import torch

from maskrcnn.devices import resolve_device, resolve_precision
from maskrcnn.errors import UserError


def test_auto_takes_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(("name", "found"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str, found: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    with pytest.raises(UserError, match=f"{name} is not there .*found: {found}"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cpu cpu", "mps", "meta", "cpu:5", "xla:0", "\x1b[2J" * 1000])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(UserError, match='expected "auto"') as caught:
        resolve_device(name)
    assert len(str(caught.value)) < 250


def test_the_cpu() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("cpu:0").type == "cpu"


def test_precisions() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert resolve_precision("bfloat16", cpu) == torch.bfloat16
    assert resolve_precision("float16", gpu) == torch.float16
    with pytest.raises(UserError, match="precision: expected one of float32, bfloat16, float16, got 'int8'"):
        resolve_precision("int8", cpu)
    with pytest.raises(UserError, match="float16 is for GPUs; on the CPU use float32"):
        resolve_precision("float16", cpu)
