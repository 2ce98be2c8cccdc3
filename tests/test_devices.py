from __future__ import annotations

import pytest
import torch

from maskrcnn.devices import resolve_device
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


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cpu cpu"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(UserError, match='expected "auto"'):
        resolve_device(name)


def test_the_cpu() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
