"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if (processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    # Each process of `pytest -n`, and each that it starts, has its share of the cores. Torch reads this on import.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))

import torch

if not torch.cuda.is_available():
    # Triton then runs kernels step by step on the CPU. It decides so when it is imported, which parts of torch do as
    # well, hence here; a test that comes too late fails, since without a GPU there is nothing to compile for.
    os.environ["TRITON_INTERPRET"] = "1"

from maskrcnn.kernels.winograd import WinogradWeight


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; a test that needs it is skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference data in ../shared, which is not part of the repository")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests leave to be found again is not left in the cache of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASKRCNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def generator() -> torch.Generator:
    """A random generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def transformed_for(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The side of the tiles for each set of weights transformed for Winograd's algorithm, one after the other."""
    tiles, transform = [], WinogradWeight.transform

    def noted(weight: torch.Tensor, tile: int, packed: bool) -> WinogradWeight:
        tiles.append(tile)
        return transform(weight, tile, packed)

    monkeypatch.setattr(WinogradWeight, "transform", noted)
    return tiles
