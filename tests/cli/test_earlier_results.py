"""What lies in an output before `predict` writes there again."""

from __future__ import annotations

import json
from pathlib import Path

from maskrcnn.cli.earlier_results import remove_replaced


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_all_that_rows_name_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Overlays, label maps, segments and the file of these; files that only look like them, or lie elsewhere, stay."""
    output = tmp_path / "out"
    ours = [output / name for name in ("a.png", "label_maps/a.png", "label_maps/b.png", "panoptic/a.png")]
    others = [output / "b.png", output / "label_maps/mine.png", output / "predictions.json", tmp_path / "x.png"]
    touch(*ours, *others, output / "panoptic.json")
    rows = [
        {"picture": "a.png", "label_map": "a.png", "panoptic": {"file_name": "a.png", "segments_info": []}},
        {"label_map": "b.png", "picture": "../x.png"},
        {"picture": "not there.png", "panoptic": 3},
    ]
    (output / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"picture"\n')
    remove_replaced(output, (), lambda text: None)
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {*others, output / "predictions.jsonl"}


def test_panoptic_results_of_others_stay(tmp_path: Path) -> None:
    """A data folder may have a file of this name."""
    touch(tmp_path / "panoptic.json", tmp_path / "a.png")
    (tmp_path / "predictions.jsonl").write_text('{"picture": "a.png"}\n')
    remove_replaced(tmp_path, (), lambda text: None)
    assert {path.name for path in tmp_path.iterdir()} == {"panoptic.json", "predictions.jsonl"}
