from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.results.tables import HEAD, _cell, class_columns, object_rows, write
from maskrcnn.structures import Categories
from results.conftest import CLASSES, MakeRun, drawn


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_per_object_and_a_row_per_image(make_run: MakeRun, tmp_path: Path) -> None:
    write(make_run(CLASSES, pixel_size=0.5), tmp_path / "out")
    objects, summary = read(tmp_path / "out" / "objects.csv"), read(tmp_path / "out" / "summary.csv")
    assert [row["object"] for row in objects] == ["1", "2", "3", "4", "5"]
    assert {Path(row["file_name"]).name for row in objects} == {"a.png"}
    areas = drawn(CLASSES, Path("a.png")).areas * 0.25
    assert [float(row["area"]) for row in objects] == areas.tolist() and objects[0]["intensity_mean"] == "90.0"
    first, empty, broken = summary
    assert (first["objects"], first["round"], first["long, <thin>"]) == ("5", "3", "2")
    assert float(first["total_area"]) == areas.sum() and float(first["mean_area"]) == pytest.approx(areas.mean())
    assert (empty["objects"], empty["round"], empty["mean_area"], empty["total_area"]) == ("0", "0", "", "0.0")
    assert (broken["objects"], broken["error"]) == ("", "broken")


def test_a_class_that_is_called_like_another_column(make_run: MakeRun, tmp_path: Path) -> None:
    write(make_run(Categories((1, 2), ("objects", "height"))), tmp_path / "out")
    row = read(tmp_path / "out" / "summary.csv")[0]
    assert (row["objects"], row["class objects"], row["height"], row["class height"]) == ("5", "3", "60", "2")
    named = ["error", "cell", "class error", "File_name"]
    assert class_columns(named) == ["class class error", "cell", "class error", "File_name"]


@pytest.mark.parametrize("pixel_size", [1e-4, 1e-9])
def test_small_units_keep_their_digits(pixel_size: float, make_run: MakeRun, tmp_path: Path) -> None:
    write(make_run(CLASSES, pixel_size=pixel_size), tmp_path / "out")
    areas = drawn(CLASSES, Path("a.png")).areas * pixel_size**2
    objects, (summary, *_) = read(tmp_path / "out" / "objects.csv"), read(tmp_path / "out" / "summary.csv")
    assert [float(row["area"]) for row in objects] == pytest.approx(areas.tolist(), rel=5e-7)
    assert float(summary["mean_area"]) == pytest.approx(areas.mean(), rel=5e-7)
    assert float(summary["total_area"]) == pytest.approx(areas.sum(), rel=5e-7)


@pytest.mark.parametrize(
    ("value", "cell"),
    [(0.0, 0.0), (123456789.0, 123456789.0), (0.95123456, 0.9512346), (-1.23456789e-8, -1.234568e-8), (1e300, 1e300)],
)
def test_cells_have_seven_digits_and_whole_pixels(value: float, cell: float) -> None:
    assert _cell(value) == cell


@pytest.mark.parametrize("factor", [10, 200])
def test_intensities_are_those_of_sixteen_bits(factor: int, tmp_path: Path) -> None:
    """Of the disc around (20, 20) in a picture that rises by `factor` a column: its centre column's value."""
    path = tmp_path / "a.tif"
    Image.fromarray(np.tile(np.arange(80) * factor + 100, (60, 1)).astype(np.uint16)).save(path)
    found = drawn(CLASSES, path)
    row = dict(zip(HEAD, next(object_rows(found)), strict=True))
    assert row["intensity_mean"] == found.measurements()["intensity_mean"][0] == 20 * factor + 100


def test_without_masks_and_without_the_image(make_run: MakeRun, tmp_path: Path) -> None:
    finished = make_run(CLASSES, masks=False)
    write(finished, tmp_path / "boxes")
    row = read(tmp_path / "boxes" / "objects.csv")[0]
    assert row["area"] == "841.0" and row["perimeter"] == ""
    missing = drawn(CLASSES, tmp_path / "absent.png")
    row = dict(zip(HEAD, next(object_rows(missing)), strict=True))
    assert row["intensity_mean"] == "" and row["area"] > 0
