from __future__ import annotations

from dataclasses import replace

from maskrcnn.evaluation import Metrics
from maskrcnn.evaluation.table import format_number, format_table


def test_the_table_names_its_settings_and_lines_up(metrics: Metrics) -> None:
    lines = format_table(metrics).splitlines()
    assert lines[0] == "COCO metrics over 3 images; max_detections (maxDets) = 5 per image and class."
    head, mask, box = lines[2:5]
    assert head.split() == ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR5", "ARs", "ARm", "ARl"]
    assert mask.split()[:3] == ["mask", "0.554", "0.554"] and box.startswith("box ")
    assert len(head) == len(mask) == len(box)
    assert "score >= 0.5: mask 0.778 at IoU 0.5" in lines[6]
    absent = next(line for line in lines if line.startswith("absent"))
    assert absent.split() == ["absent", "0", "0", "-", "-", "-", "-", "-", "-"]


def test_warnings_come_first(metrics: Metrics) -> None:
    table = format_table(replace(metrics, warnings=("mind this",)))
    assert table.startswith("warning: mind this\n")


def test_format_number() -> None:
    assert format_number(0.12349) == "0.123" and format_number(float("nan")) == "-"
