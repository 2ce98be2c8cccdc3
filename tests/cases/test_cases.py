"""Cases from public bug reports: each folder's check finds nothing to complain about."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SLOW = {"22-very-many-objects"}
CASES = [
    pytest.param(path.parent, id=path.parent.name, marks=[pytest.mark.slow] if path.parent.name in SLOW else [])
    for path in sorted(HERE.glob("*/check.py"))
]


@pytest.mark.parametrize("case", CASES)
def test_case(case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    with warnings.catch_warnings(), pytest.raises(SystemExit) as left:
        runpy.run_path(str(case / "check.py"), run_name="__main__")
    assert left.value.code == 0, capsys.readouterr().out
