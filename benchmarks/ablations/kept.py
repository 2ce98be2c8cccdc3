"""Results that are computed once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a JSON file says; made and written first, if there is none."""
    if not file.exists():
        content = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    said: dict[str, Any] = json.loads(file.read_text())
    return said


def kept_in(file: Path, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The same for one of the results that share a file."""
    if name not in _read(file):
        content = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        results = _read(file) | {name: content}  # read anew: others may have written since
        lines = [f"  {json.dumps(key)}: {json.dumps(results[key])}" for key in sorted(results)]
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    said: dict[str, Any] = _read(file)[name]
    return said


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}
