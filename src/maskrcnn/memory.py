"""How much memory is left for this process, as far as the system says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """The least of what the machine, the container and the process's own limit leave; None where none of them says.

    Memory that holds nothing but copies of files counts as free.
    """
    return min((free for free in (*_of_machine(), *_of_container(), *_of_limit()) if free is not None), default=None)


def _of_machine() -> Iterator[int | None]:
    yield _kibibytes(_text(_PROC / "meminfo"), "MemAvailable")


def _of_container() -> Iterator[int | None]:
    """Of this process's control group and those around it (version 2), or of the container's (version 1)."""
    group = re.search(r"^0::/?(.*)$", _text(_PROC / "self" / "cgroup"), re.MULTILINE)
    inner = _CGROUP / group[1] if group else _CGROUP
    for folder in (inner, *inner.parents):
        yield _left(folder, "memory.max", "memory.current", "inactive_file")
        if folder == _CGROUP:
            break
    yield _left(_CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _left(folder: Path, limit_name: str, used_name: str, cached_name: str) -> int | None:
    limit, used = _text(folder / limit_name).strip(), _text(folder / used_name).strip()
    if not (limit.isdecimal() and used.isdecimal()):  # "max", or there is no such group
        return None
    cached = re.search(rf"^{cached_name} (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
    return max(0, int(limit) - int(used) + (int(cached[1]) if cached else 0))


def _of_limit() -> Iterator[int | None]:
    """`ulimit -v`."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _kibibytes(_text(_PROC / "self" / "status"), "VmSize")
    if limit != resource.RLIM_INFINITY and used is not None:
        yield max(0, limit - used)


def _kibibytes(report: str, field: str) -> int | None:
    """A field of one of Linux's reports, in bytes."""
    found = re.search(rf"^{field}:\s*(\d+) kB$", report, re.MULTILINE)
    return None if found is None else 1024 * int(found[1])


def _text(path: Path) -> str:
    """Empty where there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""
