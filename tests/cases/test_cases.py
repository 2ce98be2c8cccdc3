"""Cases from public bug reports: each folder's check finds nothing to complain about."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CASES = sorted(path.parent for path in HERE.glob("*/check.py"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_case(case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    with warnings.catch_warnings(), pytest.raises(SystemExit) as left:
        runpy.run_path(str(case / "check.py"), run_name="__main__")
    assert left.value.code == 0, capsys.readouterr().out
