"""Processes that share an evaluation come to what one process does, to the last bit."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.build import build_model
from maskrcnn.conclusion import concluded
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.evaluation.semantic import Confusion
from maskrcnn.evaluation_run import EvaluationRun, Outcome
from maskrcnn.evaluator import observed
from maskrcnn.model import Model
from maskrcnn.presets import preset
from maskrcnn.structures import Categories

T = TypeVar("T")

COUNT, BROKEN = 21, (0, 5, 20)


class Part:
    """A rank whose outcomes are kept as the bytes that would travel; the first one gets those of the others."""

    def __init__(self, rank: int, world: int, others: Sequence[Part] = ()) -> None:
        self.rank, self.world, self.others = rank, world, others
        self.sent: list[bytes] = []

    def share_of(self, count: int) -> range:
        return range(self.rank, count, self.world)

    def in_rounds(self, own: Iterator[T], count: int) -> Iterator[Sequence[T]]:
        self.sent = [pickle.dumps(item) for item in own]
        if self.rank == 0:
            yield [pickle.loads(part.sent[place]) for place, part in self._places(count)]

    def _places(self, count: int) -> Iterator[tuple[int, Part]]:
        parts = [self, *self.others]
        return ((number // self.world, parts[number % self.world]) for number in range(count))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    """Squares on ground that is stuff; three of the images cannot be read."""
    folder, draw = tmp_path_factory.mktemp("shared"), np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(COUNT):
        name = f"{number}.png"
        Image.fromarray(draw.integers(0, 255, (64, 64, 3), np.uint8)).save(folder / name)
        if number in BROKEN:
            (folder / name).write_bytes((folder / name).read_bytes()[:2000])
        images.append({"id": 100 - number, "file_name": name, "width": 64, "height": 64})
        for category, (x, y, side) in ((1, (*draw.integers(0, 30, 2).tolist(), 30)), (2, (0, 40, 24))):
            ring = [x, y, x + side, y, x + side, y + side, x, y + side]
            annotations.append({"id": len(annotations) + 1, "image_id": 100 - number, "category_id": category}
                               | {"bbox": [x, y, side, side], "segmentation": [ring], "iscrowd": 0})  # fmt: skip
    categories = [{"id": 1, "name": "square"}, {"id": 2, "name": "ground", "isthing": 0}]
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return read_coco(path, folder)


@pytest.fixture(scope="module")
def model(data: LabelledImages) -> Model:
    """Of objects and every pixel's class, with random weights."""
    torch.manual_seed(0)
    base = preset("tiny")
    config = replace(
        base,
        input=replace(base.input, min_size=64, max_size=64),
        rpn=replace(base.rpn, pre_nms_top_k_test=50, post_nms_top_k_test=20),
        box_head=replace(base.box_head, fc_channels=16, max_detections=20, score_threshold=0.0),
        semantic_head=replace(base.semantic_head, enabled=True),
    )
    return Model(build_model(config, 2), data.categories, config)


@pytest.mark.parametrize("world", [2, 3, 25])
def test_parts_come_to_the_whole(world: int, data: LabelledImages, model: Model, tmp_path: Path) -> None:
    """Also where some have no image; objects, pixels, segments, faults and what the report shows."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = observed(model, data, score_threshold=0.1)
    others = [Part(rank, world) for rank in range(1, world)]
    for part in others:
        left = observed(model, data, score_threshold=0.1, sharing=part)
        assert not left.results and not left.images and not left.unreadable
    together = observed(model, data, score_threshold=0.1, sharing=Part(0, world, others))
    torch.set_num_threads(threads)
    assert list(together.images.items()) == list(alone.images.items()) and len(alone.images) == COUNT - len(BROKEN)
    for run, name in ((alone, "alone"), (together, "together")):
        (tmp_path / name).mkdir()
        concluded(run, model, tmp_path / name, say=lambda _: None)
    for file in ("metrics.json", "predictions.json", "report.html"):
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "together" / file).read_bytes(), file
    metrics = json.loads((tmp_path / "together" / "metrics.json").read_text())
    assert {"mask", "box", "semantic", "panoptic"} <= metrics.keys()
    assert [name in " ".join(metrics["warnings"]) for name in ("/0.png", "/5.png", "/20.png")] == [True] * 3


def test_what_is_watched_is_drawn_where_it_is_seen(data: LabelledImages, model: Model) -> None:
    """The picture travels, and comes once; no other image has one."""

    def look(number: int, found: Any) -> Any:
        return found.image() if number in (1, 2) else None

    rounds: list[Sequence[Any]] = []
    other = Part(1, 2)
    observed(model, data, sharing=other, look=look)
    observed(model, data, sharing=Part(0, 2, [other]), look=look, after=rounds.append)
    drawn = {outcome.number: outcome.overlay for outcomes in rounds for outcome in outcomes}
    assert list(drawn) == list(range(COUNT))
    assert {number for number, overlay in drawn.items() if overlay is not None} == {1, 2}
    with Image.open(data.folder / "2.png") as picture:
        assert np.array_equal(drawn[2], np.asarray(picture))


@pytest.mark.parametrize(("has_void", "mean"), [(False, (3 / 6 + 0 + 4 / 5) / 3), (True, (3 / 6 + 0) / 2)])
def test_no_mean_over_classes_that_the_labels_cannot_name(data: LabelledImages, has_void: bool, mean: float) -> None:
    """Square, ground, moon, background. The labels know no moon, and no background where what has no label is void."""
    categories = Categories((1, 2, 3), ("square", "ground", "moon"))
    run = EvaluationRun(replace(data, has_void=has_void), categories, 10**6, 100, Confusion(categories.names))
    run.add(Outcome(1, confusion=np.diag([3, 0, 0, 4]) + np.array([[0, 1, 1, 1], *np.zeros((3, 4), int)])))
    semantic = run.semantic()
    assert semantic is not None and semantic.mean_iou == pytest.approx(mean)
    assert [np.isnan(row.iou) for row in semantic.classes] == [False, False, True, has_void]
