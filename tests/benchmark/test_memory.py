"""Memory of this process, held against memory that is really taken."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
import torch

from maskrcnn.benchmark import memory

CPU = torch.device("cpu")
MIB = 2**20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_what_is_taken_is_seen_and_the_peak_stays() -> None:
    before = memory.used_bytes(CPU)
    block = mmap.mmap(-1, 64 * MIB)  # from the system itself: an allocator might have some left from before
    for _ in range(64):
        block.write(b"x" * MIB)
    during, peak = memory.used_bytes(CPU), memory.peak_bytes(CPU)
    assert before is not None and during is not None and peak is not None
    assert during - before > 60 * MIB and peak >= during - MIB
    block.close()
    after, later_peak = memory.used_bytes(CPU), memory.peak_bytes(CPU)
    assert after is not None and later_peak is not None
    assert during - after > 60 * MIB and later_peak >= peak - MIB  # the system's counters are a little behind


def test_another_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    assert memory.resident_bytes() is None
    peak = memory.peak_resident_bytes()
    assert peak is None or peak > 10 * MIB, "a process with torch is not smaller"
