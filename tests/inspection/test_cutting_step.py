"""The numbers beside a region: the same box by RoIAlign and by both rules of RoIPool."""

from __future__ import annotations

import re

import pytest
import torch

from maskrcnn.inspection.cutting_step import rounding_table
from maskrcnn.inspection.region import cut_out
from maskrcnn.ops.roi_options import RoIAlignOptions


def numbers(box: list[float], stride: int, size: int) -> list[list[str]]:
    """The cells of the table, without its head and the names of its rows."""
    cut = cut_out(torch.zeros(1, 1, 40, 40), torch.tensor(box), stride, RoIAlignOptions(size))
    rows = re.findall(r"<tr><td>.*?</td>(.*?)</tr>", rounding_table(cut))
    return [re.findall(r"<td>(.*?)</td>", row) for row in rows]


@pytest.mark.parametrize(
    ("box", "stride", "size", "expected"),
    [
        (
            [0, 0, 665, 665],
            32,
            7,
            [
                ["20.78 × 20.78", "2.97 × 2.97", "0.0"],
                ["22 × 22", "4 × 4", "39.0"],  # the far edge: 704 instead of 665
                ["20 × 20", "2 × 2", "25.0"],  # 640
            ],
        ),
        (
            [0, 0, 7, 5],
            1,
            2,
            [["7 × 5", "3.50 × 2.50", "0.0"], ["8 × 6", "4 × 3", "1.0"], ["7 × 5", "3 × 2", "0.0"]],
        ),
    ],
)
def test_the_same_box_both_ways(box: list[float], stride: int, size: int, expected: list[list[str]]) -> None:
    assert numbers(box, stride, size) == expected
