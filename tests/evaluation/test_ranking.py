"""The AP of choices of images: against the definition, image by image and level by level."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskrcnn.evaluation.matching import Matches
from maskrcnn.evaluation.ranking import LEVELS, ClassRanking, mean_ap, rankings, sampled
from maskrcnn.structures.masks import BoolArray


def random_matches(seed: int, num_images: int, most: int, label: int = 0) -> list[Matches]:
    """Matches that get fewer with the threshold; ties of scores; some regions that do not count."""
    generator = np.random.default_rng(seed)
    found = []
    for image in range(num_images):
        count, truths = (int(n) for n in generator.integers(0, most, 2))
        scores = np.sort(generator.random(count).round(1))[::-1]
        reached = generator.integers(0, 11, count)
        matched = (np.arange(10)[:, None] < reached) & (np.arange(count) < truths)
        ignored = generator.random((10, count)) < (0.2 if seed % 2 else 0)
        found.append(Matches(image, label, scores, matched, ignored, truths))
    return found


def by_definition(matches: list[Matches], chosen: BoolArray, threshold: int) -> float:
    """Rank, count, take the best precision at each level of recall or beyond."""
    own = [match for match in matches if chosen[match.image]]
    total = sum(match.num_truths for match in own)
    if total == 0:
        return math.nan
    ranked = [
        (-score, hit)
        for match in own
        for score, hit, out in zip(match.scores, match.matched[threshold], match.ignored[threshold], strict=True)
        if not out
    ]
    ranked.sort(key=lambda pair: pair[0])
    hits, points = 0, []
    for place, (_, hit) in enumerate(ranked, start=1):
        hits += bool(hit)
        points.append((hits / total, hits / place))
    return sum(max([p for r, p in points if r >= level], default=0.0) for level in LEVELS.tolist()) / len(LEVELS)


@pytest.mark.parametrize(("seed", "most"), [(0, 3), (1, 3), (2, 8), (3, 8), (4, 40), (5, 40)])
def test_every_choice_gives_the_ap_of_its_definition(seed: int, most: int) -> None:
    matches, generator = random_matches(seed, 12, most), np.random.default_rng(seed)
    choices = generator.random((9, 12)) < 0.5
    choices[0], choices[1] = True, False
    found = ClassRanking.of(matches, 12).average_precisions(choices)
    expected = [[by_definition(matches, choice, t) for t in range(10)] for choice in choices]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.isnan(found[1]).all() and np.isfinite(found[0]).all()


def test_portions_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    ranking, choices = ClassRanking.of(random_matches(1, 12, 9), 12), np.random.default_rng(0).random((30, 12)) < 0.5
    whole = ranking.average_precisions(choices)
    monkeypatch.setattr("maskrcnn.evaluation.ranking.VALUES_AT_A_TIME", 100)
    assert np.array_equal(ranking.average_precisions(choices), whole, equal_nan=True)
    assert ranking.average_precisions(choices[:0]).shape == (0, 10)


def test_within_images_is_a_choice_of_them() -> None:
    ranking, chosen = ClassRanking.of(random_matches(3, 12, 9), 12), np.arange(12) < 5
    everything = np.ones((1, 12), bool)
    assert np.array_equal(
        ranking.within(chosen).average_precisions(everything), ranking.average_precisions(chosen[None])
    )


def test_classes_stay_apart() -> None:
    matches = [*random_matches(0, 6, 5), *random_matches(1, 6, 5, label=2)]
    found = sampled(rankings(matches, 6, 3), np.ones((1, 6), bool))
    assert found.shape == (1, 3, 10) and np.isnan(found[0, 1]).all()
    assert found[0, 2, 0] == pytest.approx(by_definition(matches[6:], np.ones(6, bool), 0))
    assert mean_ap(found)[0] == pytest.approx(np.nanmean(found)) and math.isnan(mean_ap(found[:, 1:2])[0])
