"""The notebook in examples/ runs from top to bottom."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run_cells(path: Path) -> list[Any]:
    """What the last line of each code cell is, as a notebook shows it; None where it is no expression."""
    names: dict[str, Any] = {}
    shown: list[Any] = []
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        shown.append(eval(compile(ast.Expression(last.value), str(path), "eval"), names) if last else None)
    return shown


@pytest.mark.parametrize("folder", [ROOT, ROOT / "examples"])
def test_from_images_to_a_table_and_a_figure(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    _, picture, table, _ = run_cells(ROOT / "examples" / "measure_nuclei.ipynb")
    assert "data:image/jpeg" in picture._repr_html_()
    assert len(table) == 3 and (table["area"] > 5).all() and next(iter(table.columns)) == "area"
