from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from maskrcnn.kernels import triton_use
from maskrcnn.kernels.triton_use import can_use_triton

COMPILE = """
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from maskrcnn.ops.triton import nms as triton_nms
from maskrcnn.ops.triton import roi_align as triton_roi_align

def compile(kernel, num_warps, **constants):
    types = {name: "constexpr" if name in constants else numbers.get(name, "i32") for name in kernel.arg_names}
    positions = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source, target = ASTSource(kernel, types, positions), GPUTarget("cuda", 80, 32)
    assert triton.compile(source, target=target, options={"num_warps": num_warps}).asm["cubin"]
    print(kernel.__name__)

numbers = dict.fromkeys(("labels", "bits", "removed", "kept", "counts", "image_index", "levels"), "*i64")
numbers |= dict.fromkeys(("table", "gradient", "output"), "*bf16")
numbers |= {"threshold": "fp32", "scale": "fp32", "boxes": "*fp32"}
sizes = dict(band=triton_nms.BAND, word_size=triton_nms.WORD)
compile(triton_nms._compare, 8, **sizes)
compile(triton_nms._sweep, 4, **sizes, words_at_once=triton_nms.WORDS_AT_ONCE)
sizes = dict(size_y=7, size_x=7, sum_type=tl.float32, block=64)
compile(triton_roi_align._forward, 1, **sizes, ratio=0, aligned=False, samples=4)
compile(triton_roi_align._backward, 8, **sizes, ratio=2, aligned=True, tile=4, bins=32, chunk=128)
"""


@pytest.fixture
def ampere(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A tensor on a GPU that Triton can compile for."""
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    triton_use._compiles_for.cache_clear()
    yield SimpleNamespace(is_cuda=True, dtype=torch.float32, get_device=lambda: 0)
    triton_use._compiles_for.cache_clear()


def driver_with(monkeypatch: pytest.MonkeyPatch, get_current_target: Callable[[], Any]) -> None:
    driver = SimpleNamespace(active=SimpleNamespace(get_current_target=get_current_target))
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "triton.runtime", SimpleNamespace(driver=driver))


def test_a_gpu_with_triton(monkeypatch: pytest.MonkeyPatch, ampere: SimpleNamespace) -> None:
    driver_with(monkeypatch, lambda: "cuda")
    assert can_use_triton(ampere)
    ampere.dtype = torch.float64
    assert not can_use_triton(ampere)


def test_not_on_the_cpu() -> None:
    assert not can_use_triton(torch.zeros(1))


def test_not_on_older_gpus(monkeypatch: pytest.MonkeyPatch, ampere: SimpleNamespace) -> None:
    driver_with(monkeypatch, lambda: "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not can_use_triton(ampere)


def test_not_without_triton(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ampere: SimpleNamespace
) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    assert not can_use_triton(ampere)
    assert not caplog.records


def test_said_once_where_triton_does_not_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ampere: SimpleNamespace
) -> None:
    def fail() -> None:
        raise RuntimeError("Failed to find C compiler")

    driver_with(monkeypatch, fail)
    assert not can_use_triton(ampere) and not can_use_triton(ampere)
    (record,) = caplog.records
    assert "Failed to find C compiler" in record.getMessage()


def test_kernels_compile_without_a_gpu(tmp_path: Path) -> None:
    """The interpreter takes more than the compiler does."""
    pytest.importorskip("triton", reason="needs triton, which exists for Linux only")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    script = tmp_path / "compile_kernels.py"
    script.write_text(COMPILE)
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["_compare", "_sweep", "_forward", "_backward"]
