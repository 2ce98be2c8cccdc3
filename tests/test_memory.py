from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from maskrcnn import memory

GB = 10**9


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the system's reports, with a machine of 8 GB free and no limits."""
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_of_limit", lambda: ())
    write(tmp_path, "proc/meminfo", "MemTotal: 16000000 kB\nMemFree: 1000 kB\nMemAvailable: 8000000 kB\n")
    return tmp_path


def write(system: Path, name: str, text: str) -> None:
    (system / name).parent.mkdir(parents=True, exist_ok=True)
    (system / name).write_text(text)


def test_of_the_machine(system: Path) -> None:
    assert memory.free_bytes() == 8_000_000 * 1024


def test_a_container_has_less(system: Path) -> None:
    write(system, "cgroup/memory.max", "3000000000\n")
    write(system, "cgroup/memory.current", "2500000000\n")
    write(system, "cgroup/memory.stat", "anon 5\ninactive_file 1000000000\n")
    assert memory.free_bytes() == 1_500_000_000


def test_the_tightest_of_the_groups_counts(system: Path) -> None:
    write(system, "proc/self/cgroup", "0::/outer/inner\n")
    for name, limit in (("cgroup/outer/inner", "max"), ("cgroup/outer", "2000000000"), ("cgroup", "5000000000")):
        write(system, f"{name}/memory.max", limit)
        write(system, f"{name}/memory.current", "1000000000")
    assert memory.free_bytes() == GB


def test_the_older_control_groups(system: Path) -> None:
    write(system, "cgroup/memory/memory.limit_in_bytes", "2000000000")
    write(system, "cgroup/memory/memory.usage_in_bytes", "500000000")
    write(system, "cgroup/memory/memory.stat", "total_inactive_file 100000000\n")
    assert memory.free_bytes() == 1_600_000_000


def test_a_system_that_says_nothing(system: Path) -> None:
    (system / "proc/meminfo").unlink()
    assert memory.free_bytes() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's reports and its ulimit -v")
def test_the_limit_of_the_process_counts() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "from maskrcnn.memory import free_bytes; print(free_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 2**28 < int(done.stdout) < 2**30
