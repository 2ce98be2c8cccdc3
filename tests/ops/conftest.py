"""Where each way of an operator runs."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def device(way: str) -> str:
    """Where a test runs one of the ways of a table: kernels on the GPU if there is one, all else on the CPU."""
    if way != "triton":
        return "cpu"
    pytest.importorskip("triton", reason="needs triton, which exists for Linux only")
    return "cuda" if torch.cuda.is_available() else "cpu"
