"""Numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskrcnn.evaluation.matching import Matches, best_operating_point, per_image_metrics


def matches(
    scores: list[float],
    matched: list[list[int]],
    num_truths: int,
    ignored: list[int] | None = None,
    image: int = 0,
    label: int = 0,
) -> Matches:
    """(T, D) matches; `ignored` holds at every threshold."""
    hits = np.array(matched, dtype=bool).reshape(len(matched), len(scores))
    skipped = np.broadcast_to(np.array(ignored or [0] * len(scores), dtype=bool), hits.shape)
    return Matches(image, label, np.array(scores), hits, skipped, num_truths)


def test_from_coco() -> None:
    entry = {
        "image_id": 3,
        "category_id": 1,
        "dtScores": [0.9, 0.4],
        "dtMatched": [[True, False], [False, False]],
        "dtIgnore": [[False, True], [False, True]],
        "gtIgnore": [False, True, False],
    }
    match = Matches.from_coco(entry, 3)
    assert (match.image, match.label, match.num_truths) == (3, 1, 2)
    assert match.matched.tolist() == entry["dtMatched"] and match.ignored.tolist() == entry["dtIgnore"]
    empty = Matches.from_coco({**entry, "dtScores": [], "dtMatched": [[], []], "dtIgnore": [[], []]}, 3)
    assert empty.matched.shape == empty.ignored.shape == (2, 0)


def test_per_image_score_is_tp_over_all() -> None:
    """Three of four objects found at the first threshold, one at the second; one false alarm; one below 0.5."""
    found = matches([0.9, 0.8, 0.7, 0.5, 0.49], [[1, 1, 0, 1, 1], [1, 0, 0, 0, 1]], num_truths=4)
    (image,) = per_image_metrics([found], [42], score_threshold=0.5)
    assert image.image_id == 42
    assert (image.true_positives, image.false_positives, image.false_negatives) == (3, 1, 1)
    assert image.ap50 == pytest.approx(3 / 5)
    assert image.ap == pytest.approx((3 / 5 + 1 / (1 + 3 + 3)) / 2)


def test_per_image_counts_all_classes_and_leaves_crowds_out() -> None:
    entries = [
        matches([0.9], [[1]], num_truths=1),
        matches([0.9, 0.8], [[0, 1]], num_truths=0, ignored=[0, 1], label=1),
        matches([], [[]], num_truths=2, image=1),
    ]
    first, second, third = per_image_metrics(entries, [10, 20, 30], score_threshold=0.5)
    assert (first.true_positives, first.false_positives, first.false_negatives) == (1, 1, 0)
    assert first.ap50 == 0.5 and second.ap50 == 0.0 and second.false_negatives == 2
    assert third.ap50 == third.ap == 1.0, "nothing to find and nothing found"


def test_per_image_without_any_match() -> None:
    assert [image.ap for image in per_image_metrics([], [1, 2], 0.5)] == [1.0, 1.0]


def test_best_operating_point() -> None:
    """F1 = 2 TP / (kept + objects): 2/4, 4/5, 4/6, 6/7, 6/8."""
    both = [
        matches([0.9, 0.6, 0.2], [[1, 0, 0], [0, 0, 0]], num_truths=2),
        matches([0.8, 0.4], [[1, 1], [0, 0]], num_truths=1, image=1),
    ]
    best = best_operating_point(both)
    assert best.score == 0.4
    assert best.precision == pytest.approx(3 / 4) and best.recall == 1.0 and best.f1 == pytest.approx(6 / 7)


def test_equal_scores_are_kept_or_dropped_together() -> None:
    """Cutting between the two would have F1 = 1, but no threshold does that."""
    best = best_operating_point([matches([0.5, 0.5], [[1, 0]], num_truths=1)])
    assert best.score == 0.5 and best.f1 == pytest.approx(2 / 3) and best.precision == 0.5


def test_ignored_detections_do_not_move_the_best_point() -> None:
    best = best_operating_point([matches([0.9, 0.8], [[1, 1]], num_truths=1, ignored=[1, 0])])
    assert best.score == 0.8 and best.f1 == 1.0


@pytest.mark.parametrize(
    "entries",
    [[], [matches([], [[]], num_truths=3)], [matches([0.9], [[0]], num_truths=0)]],
    ids=["nothing", "no detection", "no object"],
)
def test_no_best_point(entries: list[Matches]) -> None:
    best = best_operating_point(entries)
    assert all(math.isnan(value) for value in (best.score, best.precision, best.recall, best.f1))
