"""The labels of a run, divided where they name no splits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.test_other_forms import several
from tests.data.formats.scenes import colour_masks

from maskrcnn.config import Config, DataConfig
from maskrcnn.errors import UserError
from maskrcnn.training.data import TrainingData


def opened(kept: Path, **data: str | float) -> tuple[TrainingData, str]:
    lines: list[str] = []
    found = TrainingData.open(Config(data=DataConfig(**data)), lines.append, kept)  # type: ignore[arg-type]
    return found, "\n".join(lines)


def test_one_file_is_divided_and_its_images_may_lie_elsewhere(tmp_path: Path) -> None:
    several(tmp_path / "pictures", 4)
    images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate("abcd")]
    ring = [[2, 3, 8, 3, 8, 8, 2, 8]]
    objects = [{"id": n, "image_id": n, "category_id": 1, "segmentation": ring, "bbox": [2, 3, 6, 5]} for n in range(4)]
    file = tmp_path / "labels/result.json"
    file.parent.mkdir()
    content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}]}
    file.write_text(json.dumps(content))
    given = {"root": str(file), "images": str(tmp_path / "pictures"), "val_fraction": 0.5}
    data, said = opened(tmp_path / "split", **given)
    assert data.val is not None and len(data.dataset) == len(data.val.labels) == 2 and "2 of 4 are" in said
    data.division.keep(tmp_path / "split")
    again, _ = opened(tmp_path / "split", **given | {"val_fraction": 0.25})
    assert again.fingerprint == data.fingerprint and not again.division.made, "what is kept counts"
    assert again.measured_on == data.measured_on is not None
    (tmp_path / "labels").rename(tmp_path / "moved")
    moved, _ = opened(tmp_path / "split", **given | {"root": str(tmp_path / "moved/result.json")})
    assert moved.fingerprint == data.fingerprint


def test_a_part_of_0_measures_nothing(tmp_path: Path) -> None:
    several(tmp_path / "data", 3)
    data, said = opened(tmp_path / "split", root=str(tmp_path / "data"), val_fraction=0.0)
    assert data.val is None and len(data.dataset) == 3 and "so nothing is evaluated" in said


@pytest.mark.parametrize(
    ("part", "has_val", "said"),
    [
        (
            0.0,
            True,
            "--val 0 (data.val_fraction): left out, since the labels name 4 images to measure on; to measure on",
        ),
        (0.5, True, "--val 0.5 (data.val_fraction): left out, since the labels name 4 images to measure on"),
        (0.5, False, "instances_train.json is for training as it is; to divide it: --data "),
        (0.0, False, ""),
        (0.2, True, ""),
    ],
)
def test_a_part_to_measure_on_that_nobody_takes_is_said(
    config: Config, tmp_path: Path, part: float, has_val: bool, said: str
) -> None:
    root = Path(config.data.root)
    if has_val:
        shutil.copy(root / "instances_train.json", root / "instances_val.json")
    data, lines = opened(tmp_path / "split", root=str(root), val_fraction=part)
    assert said in lines and ("left out" in lines) == bool(said) and (data.val is not None) == has_val


def test_names_and_colours_are_settings(tmp_path: Path) -> None:
    colour_masks(tmp_path / "data")
    (tmp_path / "data/labelmap.txt").rename(tmp_path / "colours.txt")
    (tmp_path / "names.yaml").write_text("cat: lion")
    files = {"colours": str(tmp_path / "colours.txt"), "class_map": str(tmp_path / "names.yaml")}
    data, _ = opened(tmp_path / "split", root=str(tmp_path / "data"), **files)
    assert set(data.categories.names) == {"lion", "dog"}


def test_classes_of_the_usual_layout_are_renamed_too(config: Config, tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text("dim: pale")
    data, _ = opened(tmp_path / "split", root=config.data.root, class_map=str(tmp_path / "names.yaml"))
    assert data.categories.names == ("pale", "bright")


def test_labels_for_testing_alone_are_nothing_to_learn_from(tmp_path: Path) -> None:
    several(tmp_path / "data/test", 3)
    with pytest.raises(UserError, match=r"expected images to learn from \(train\)"):
        opened(tmp_path / "split", root=str(tmp_path / "data"))


def test_a_split_for_testing_is_not_divided_and_not_kept(tmp_path: Path) -> None:
    """As the data of Cellpose and StarDist comes."""
    several(tmp_path / "data/train", 4)
    several(tmp_path / "data/test", 2)
    data, said = opened(tmp_path / "split", root=str(tmp_path / "data"), val_fraction=0.5)
    assert "2 of 4 are" in said
    data.division.keep(tmp_path / "split")
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == [
        "instances_train.json",
        "instances_val.json",
    ]
