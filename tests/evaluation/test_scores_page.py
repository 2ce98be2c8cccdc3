from __future__ import annotations

from dataclasses import replace

import pytest

from maskrcnn.evaluation import Metrics
from maskrcnn.evaluation.interval import Interval
from maskrcnn.evaluation.page import NARROW_COLUMNS
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.scores_page import scores_sections


@pytest.mark.parametrize(("count", "columns"), [(1, [1]), (6, [6]), (7, [3, 4]), (13, [4, 4, 5])])
def test_many_numbers_take_several_tables_that_fit_a_phone(metrics: Metrics, count: int, columns: list[int]) -> None:
    numbers = {f"N<{k}>": Interval(k / 100, 0.01, 20) for k in range(count)}
    scores = Scores("key", "title", "note", {**numbers})
    page = scores_sections(replace(metrics, by_type={"mask": replace(metrics["mask"], further=(scores,))}))
    tables = page.split("<table")[1:]
    assert [table.count("<th>") for table in tables] == columns and max(columns) <= NARROW_COLUMNS
    assert [table.count("±") for table in tables] == columns and "wide" not in page
    assert all(f"N&lt;{k}&gt;" in page and f"{k / 100:.3f} ± 0.020" in page for k in range(count))


def test_numbers_that_nobody_asked_how_sure_they_are_of_have_no_question_mark(metrics: Metrics) -> None:
    scores = Scores("key", "title", "note", {"AP": Interval(0.5, float("nan"), 3), "AR": Interval(0.25, float("nan"))})
    page = scores_sections(replace(metrics, by_type={"mask": replace(metrics["mask"], further=(scores,))}))
    assert "0.500 ± ?" in page and "0.250 ±" not in page and "0.250" in page
