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
