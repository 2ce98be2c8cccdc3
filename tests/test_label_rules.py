"""Labels on which models are compared are read as `evaluate` reads them for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from maskrcnn.config import DataConfig
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.report import DataReport
from maskrcnn.errors import UserError
from maskrcnn.label_rules import LabelRules
from maskrcnn.loading import ModelFacts
from maskrcnn.presets import preset
from maskrcnn.structures import Categories


def model(name: str = "tiny", **data: Any) -> ModelFacts:
    """Of the preset of this name, with the classes of `labels`."""
    config = replace(preset(name), data=DataConfig(**data))
    names = ("cat", "sky")
    stuff = frozenset(map(names.index, data.get("stuff", ())))
    return ModelFacts(Categories((1, 2), names, stuff=stuff), {}, config)


@pytest.fixture
def labels(tmp_path: Path) -> LabelContent:
    """Two frames of a film, with an object, a crowd and a piece of sky each."""
    images = [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40, "film": "one"} for n in (1, 2)]
    for image in images:
        Image.new("RGB", (60, 40)).save(tmp_path / str(image["file_name"]))
    ring = [2, 3, 12, 3, 12, 13, 2, 13]
    annotations = [
        {"id": n, "image_id": 1 + n % 2, "category_id": category, "iscrowd": crowd, "segmentation": [ring]}
        | {"bbox": [2 + n, 3, 10, 10]}
        for n, (category, crowd) in enumerate([(1, 0), (1, 0), (1, 1), (1, 1), (2, 0), (2, 0)], start=1)
    ]
    coco = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "sky"}],
    }
    return LabelContent(tmp_path / "labels", tmp_path, coco, DataReport("labels"))


@pytest.mark.parametrize(
    ("models", "given", "objects"),
    [
        ({}, {}, 4),
        ({}, {"crowd": "object"}, 6),
        ({"A": model()}, {}, 4),
        ({"B": model(crowd="object")}, {}, 6),
        ({"A": model(crowd="object"), "B": model()}, {"crowd": "ignore"}, 4),
        ({"A": model(stuff=("sky",)), "B": model(stuff=("sky",))}, {}, 2),
    ],
)
def test_objects_are_those_of_the_models(
    labels: LabelContent, models: Mapping[str, ModelFacts], given: dict[str, Any], objects: int
) -> None:
    data = LabelRules(models, **given).read(labels, None, check_files=False, need_masks=True)
    assert data.report.num_objects == objects


def test_a_model_that_tells_no_classes_is_measured_on_one(labels: LabelContent) -> None:
    data = LabelRules({"A": model("rpn")}).read(labels, None, check_files=False, need_masks=False)
    assert data.categories.names == ("object",)


@pytest.mark.parametrize(
    ("models", "given", "names"),
    [
        ({}, {}, ()),
        ({}, {"group_by": "film"}, ("one",)),
        ({"A": model(), "B": model(group_by="film")}, {}, ("one",)),
        ({"A": model(group_by="slide")}, {"group_by": "film"}, ("one",)),
        ({"A": model(group_by="slide")}, {}, ("unknown",)),
    ],
)
def test_groups_are_those_of_the_models(
    labels: LabelContent, models: Mapping[str, ModelFacts], given: dict[str, Any], names: tuple[str, ...]
) -> None:
    """A field that a model was trained with need not be in other labels."""
    data = LabelRules(models, **given).read(labels, None, check_files=False, need_masks=True)
    assert tuple(name.split()[-1] for name in data.group_names) == names


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"A": model(crowd="object"), "B": model()}, "one data.crowd, got A: object, B: ignore; choose with --crowd"),
        ({"A": model(group_by="film"), "B": model(group_by="slide")}, "A: film, B: slide; choose with --group-by"),
        ({"A": model(), "B": model("rpn")}, r"two models that tell classes apart, or two that do not \(RPN\)"),
    ],
)
def test_models_that_do_not_agree(models: Mapping[str, ModelFacts], message: str) -> None:
    with pytest.raises(UserError, match=message):
        LabelRules(models)


def test_a_field_that_is_named_must_be_there(labels: LabelContent) -> None:
    with pytest.raises(UserError, match="got slide, which none of them has"):
        LabelRules(group_by="slide").read(labels, None, check_files=False, need_masks=True)
