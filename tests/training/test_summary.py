"""What later use of a model can go by: the sizes of what it learned from, and the best score threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from maskrcnn.config import Config, InputConfig
from maskrcnn.config.data import DataConfig
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder
from maskrcnn.training.summary import best_score_threshold, object_sizes, training_summary

SETTINGS = Config(input=InputConfig(min_size=100, max_size=150))


def store(*images: tuple[tuple[int, int], list[tuple[float, bool]]]) -> LabelStore:
    """Images of (height, width) with square objects of a side, ignored or not."""
    builder = StoreBuilder()
    for number, (size, objects) in enumerate(images):
        entries = [
            ObjectEntry(index, 0, (1.0, 2.0, 1.0 + side, 2.0 + side), None, ignored)
            for index, (side, ignored) in enumerate(objects)
        ]
        builder.add_image(ImageEntry(number, f"{number}.png", size), entries)
    return builder.build()


def test_sizes_are_those_of_the_input() -> None:
    """Doubled to a short side of 100, halved to a long side of 150, and as it is: 20, 30 and 40 pixels."""
    labels = store(
        ((50, 60), [(10, False)]), ((100, 300), [(60, False), (9, True)]), ((100, 100), [(40, False)]), ((5, 5), [])
    )
    sizes = object_sizes(labels, SETTINGS)
    assert sizes == {"0.05": 21.0, "0.25": 25.0, "0.5": 30.0, "0.75": 35.0, "0.95": 39.0}


def test_images_that_are_cut_count_at_the_scale_of_their_tiles() -> None:
    """A tile of 128 pixels becomes 150, so 200 become 234 and 64 become 74.88; of an image that is not cut 48."""
    labels = store(((200, 200), [(64, False)]))
    cut = replace(SETTINGS, data=DataConfig(max_pixels=30_000), input=InputConfig(min_size=150, max_size=150))
    assert object_sizes(labels, replace(cut, data=DataConfig()))["0.5"] == 48
    assert object_sizes(labels, cut)["0.5"] == 74.88


def test_oblong_objects_count_by_the_root_of_their_area() -> None:
    builder = StoreBuilder()
    builder.add_image(ImageEntry(1, "1.png", (100, 100)), [ObjectEntry(1, 0, (0.0, 0.0, 9.0, 4.0), None, False)])
    assert set(object_sizes(builder.build(), SETTINGS).values()) == {6.0}


def test_nothing_to_learn_from() -> None:
    assert object_sizes(store(((5, 5), [(3, True)])), SETTINGS) == {}
    assert object_sizes(store(), SETTINGS) == {}


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({}, None),
        ({"best_score_threshold": {"mask": None, "box": 0.4}}, None),
        ({"best_score_threshold": {"mask": 0.61234567, "box": 0.4}}, 0.6123),
        ({"best_score_threshold": {"box": 0.5}}, 0.4999),
    ],
)
def test_the_threshold_lies_below_the_last_score_that_counts(metrics: dict[str, Any], expected: float | None) -> None:
    """Objects are found above a threshold, not at it."""
    assert best_score_threshold(metrics) == expected


def test_everything_together() -> None:
    metrics = {"mask": {"AP": 0.5}, "best_score_threshold": {"mask": 0.75}}
    summary = training_summary(7, True, metrics, store(((100, 100), [(40, False)])), SETTINGS)
    assert summary["steps"] == 7 and summary["averaged"] and summary["metrics"] == metrics
    assert summary["score_threshold"] == 0.7499 and set(summary["object_sizes"].values()) == {40.0}
