"""Dividing one data set: what belongs together stays together, each class is learned, and the draw repeats itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.report import DataReport
from maskrcnn.data.splitting import divide
from maskrcnn.errors import UserError


def content(folder: Path, names: list[str], classes: dict[int, list[int]] | None = None, **fields: Any) -> LabelContent:
    """Images of these names, each with a file of its own content; `classes` says which objects an image has."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    images = [{"id": n + 10, "file_name": name, **{k: v[n] for k, v in fields.items()}} for n, name in enumerate(names)]
    objects = [(n + 10, label) for n, labels in (classes or {}).items() for label in labels]
    annotations = [{"id": i, "image_id": image, "category_id": label} for i, (image, label) in enumerate(objects)]
    coco = {"images": images, "annotations": annotations, "categories": []}
    return LabelContent(folder, folder, coco, DataReport("x"))


def letters(count: int) -> list[str]:
    return [f"{chr(97 + n % 26) * (n // 26 + 1)}.png" for n in range(count)]


@pytest.mark.parametrize(
    ("count", "fraction", "measured"), [(1, 0.2, 0), (2, 0.2, 1), (3, 0.2, 1), (20, 0.2, 4), (20, 0.5, 10)]
)
def test_the_part_asked_for_and_at_least_one_on_each_side(
    tmp_path: Path, count: int, fraction: float, measured: int
) -> None:
    assert divide(content(tmp_path, letters(count)), fraction).is_val.sum() == measured


def test_the_same_seed_divides_the_same_way(tmp_path: Path) -> None:
    data = content(tmp_path, letters(40))
    first, again, other = (divide(data, 0.25, seed=seed).is_val.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_images_of_one_value_of_a_field_stay_together(tmp_path: Path) -> None:
    patients = [n // 4 for n in range(40)]
    found = divide(content(tmp_path, letters(40), patient=patients), 0.2, "patient")
    assert found.is_val.sum() == 8 and "'patient' stay together" in found.reason
    assert all(len(set(found.is_val[4 * p : 4 * p + 4].tolist())) == 1 for p in range(10))


@pytest.mark.parametrize("fields", [{}, {"patient": [1] * 10}, {"film": [None] * 10}, {"film": [[1]] * 10}])
def test_a_field_that_no_image_has_is_refused(tmp_path: Path, fields: dict[str, list[Any]]) -> None:
    with pytest.raises(UserError, match=r"data\.group_by=film, which none of them has"):
        divide(content(tmp_path, letters(10), **fields), 0.2, "film")


def test_images_without_the_field_are_counted(tmp_path: Path) -> None:
    found = divide(content(tmp_path, letters(10), film=["a", "a", "b", "b", *[None] * 5, "b"]), 0.2, "film")
    assert found.reason == "images of one 'film' stay together, 5 images without it by the names"


def test_a_field_that_is_the_same_everywhere_divides_nothing(tmp_path: Path) -> None:
    assert not divide(content(tmp_path, letters(10), plate=["a"] * 10), 0.2, "plate").is_val.any()


def test_copies_stay_together_by_name_and_by_content(tmp_path: Path) -> None:
    names = [f"{letter}.rf.{n:032x}.jpg" for letter in "abcde" for n in range(2)] + ["x.png", "y.png"]
    data = content(tmp_path, names)
    (tmp_path / "y.png").write_text((tmp_path / "x.png").read_text())
    for seed in range(8):
        is_val = divide(data, 0.3, seed=seed).is_val.reshape(-1, 2)
        assert (is_val[:, 0] == is_val[:, 1]).all() and 2 <= 2 * is_val[:, 0].sum() <= 6


def test_the_frames_of_a_film_stay_together(tmp_path: Path) -> None:
    names = [f"film_{film}_{10 * frame:04d}.png" for film in "abcde" for frame in range(6)]
    found = divide(content(tmp_path, names), 0.2)
    assert found.is_val.reshape(5, 6).sum(axis=1).tolist().count(6) == 1 and found.is_val.sum() == 6
    assert found.reason == "5 numbered series stay together"


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{n:04d}.jpg" for n in range(20)],  # one series: nothing could be divided
        [f"{kind}_{n * n * 37}.jpg" for kind in ("dark", "pale") for n in range(10)],  # kinds, picked here and there
        [f"{n:06d}.jpg" for n in range(20)],  # numbers alone
    ],
)
def test_names_that_are_no_films_are_divided_one_by_one(tmp_path: Path, names: list[str]) -> None:
    assert divide(content(tmp_path, names), 0.2).is_val.sum() == 4


def test_every_class_is_learned_and_measured_in_proportion(tmp_path: Path) -> None:
    """Class 2 is in two images alone: one for each side."""
    classes = {n: [1, 1] + [2] * (n in (3, 17)) + [3] * (n == 9) for n in range(20)}
    for seed in range(5):
        is_val = divide(content(tmp_path, letters(20), classes), 0.2, seed=seed).is_val
        assert not is_val[9] and not is_val[[3, 17]].all()


def test_images_without_files_or_usable_fields_are_divided_all_the_same(tmp_path: Path) -> None:
    data = content(tmp_path, letters(10), plate=[["a"]] * 9 + ["b"])
    for name in letters(10):
        (tmp_path / name).unlink()
    is_val = divide(data, 0.2, "plate").is_val
    assert is_val.dtype == np.bool_ and is_val.sum() == 2
