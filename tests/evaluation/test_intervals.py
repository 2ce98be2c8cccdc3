from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.comparison import compare_matches
from maskrcnn.evaluation.comparison_page import comparison_lines
from maskrcnn.evaluation.counting import count
from maskrcnn.evaluation.interval import Interval
from maskrcnn.evaluation.intervals import Halves, ap_intervals, random_halves, standard_error
from maskrcnn.evaluation.matching import Matches
from maskrcnn.evaluation.ranking import mean_ap, rankings, sampled
from maskrcnn.evaluation.table import format_interval
from maskrcnn.scoring import ground_truth_of

GROUPS = np.arange(40)


def matches(seed: int, num_images: int = 40, skill: float = 1.0) -> list[Matches]:
    """Images of one class that are easy or hard as a whole: each found with a chance of its own."""
    generator, found = np.random.default_rng(seed), []
    for image in range(num_images):
        truths, chance = int(generator.integers(2, 12)), generator.beta(4, 2) * skill
        hits = generator.random(truths) < chance
        extra = int(generator.poisson(2))
        scores = np.concatenate([generator.beta(5, 2, int(hits.sum())), generator.beta(2, 4, extra)])
        matched = np.concatenate([np.ones(int(hits.sum()), bool), np.zeros(extra, bool)])
        order = np.argsort(-scores)
        rows = np.tile(matched[order], (10, 1))
        found.append(Matches(image, 0, scores[order], rows, np.zeros_like(rows), truths))
    return found


def test_the_whole_gives_cocos_ap(shared: Path) -> None:
    """The same number as hotcoco's accumulation of the same matches, over 80 classes."""
    folder = shared / "data" / "cocoapi_eval"
    truth = ground_truth_of(read_coco(folder / "instances_val2014_100.json", need_masks=False))
    results = json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    precision, _, found = count(Compared.of(truth, results, "box", 100), [100])
    ranked = rankings(found, len(truth.images), len(truth.categories))
    whole = sampled(ranked, np.ones((1, len(truth.images)), bool))[0]
    expected = precision[..., 0, -1].mean(axis=1).T
    known = expected > -1
    np.testing.assert_allclose(whole[known], expected[known], atol=1e-12)
    assert np.isnan(whole[~known]).all() and mean_ap(whole) == pytest.approx(0.504581, abs=1e-6)


def test_halves_are_halves_of_groups_and_depend_on_the_seed_alone() -> None:
    groups = np.repeat(np.arange(21), 3)
    halves = random_halves(groups, 50, seed=1)
    assert halves.shape == (50, 63) and (halves.sum(axis=1) == 30).all()
    assert (halves.reshape(50, 21, 3).all(axis=2) == halves.reshape(50, 21, 3).any(axis=2)).all()
    assert np.array_equal(halves, random_halves(groups, 50, seed=1))
    assert not np.array_equal(halves, random_halves(groups, 50, seed=2))


@pytest.mark.parametrize("num_groups", [40, 41])
def test_the_error_of_a_mean_is_the_textbook_one(num_groups: int) -> None:
    """s / sqrt(n), with an even and an odd number."""
    values = np.random.default_rng(0).normal(size=num_groups)
    halves = random_halves(np.arange(num_groups), 20_000)
    means = (halves * values).sum(axis=1) / halves.sum(axis=1)
    expected = values.std(ddof=1) / math.sqrt(num_groups)
    assert standard_error(means, num_groups, num_groups) == pytest.approx(expected, rel=0.03)


def test_too_few_groups_give_no_interval() -> None:
    found = ap_intervals(matches(0), Halves.of(np.arange(40) % 19), 1)
    assert math.isnan(found.summary["AP"].standard_error) and found.summary["AP"].bounds() is None
    assert found.summary["AP"].estimate == pytest.approx(
        ap_intervals(matches(0), Halves.of(GROUPS), 1).summary["AP"].estimate
    )
    comparison = compare_matches(matches(0), matches(1), ("cell",), range(40), np.arange(40) % 19, {})
    assert "19 groups of images with objects are too few" in comparison.verdict


def test_objects_in_few_groups_have_no_interval_however_many_groups_there_are() -> None:
    """With all in one group, the AP is the same in each half that has any, which would seem to be certainty."""
    own = matches(0)
    rare = [replace(match, label=1) for match in own[:19]]
    found = ap_intervals([*own, *rare], Halves.of(GROUPS), 2, {"APl": own[:1], "APm": own[:20]})
    common, few = (row["AP"] for row in found.classes)
    assert common.bounds() is not None and common.groups == 40 and not common.has_too_few_groups
    assert few.bounds() is None and few.groups == 19 and few.has_too_few_groups
    assert found.summary["APl"].bounds() is None and found.summary["APm"].bounds() is not None
    assert format_interval(few) == f"{few.estimate:.3f} ± ?" and format_interval(Interval(math.nan, math.nan)) == "-"
    compared = compare_matches([*own, *rare], [*own, *rare], ("a", "b"), range(40), GROUPS, {"some": GROUPS < 19})
    rows = comparison_lines({"mask": compared}).splitlines()
    assert [row[:2] for row in rows if "too few groups" in row] == ["b ", "so"]
    assert [row.change.groups for row in (*compared.classes, *compared.slices)] == [40, 19, 19]
    no_truth = [replace(match, num_truths=0, matched=np.zeros_like(match.matched)) for match in own]
    first, second = [own[0], *no_truth[1:]], [replace(no_truth[0], num_truths=own[0].num_truths), *no_truth[1:]]
    alone = compare_matches(first, second, ("a",), range(40), GROUPS, {})
    assert "1 groups of images with objects are too few" in alone.verdict


def test_a_better_model_and_an_equal_one() -> None:
    worse, better = matches(0, skill=0.7), matches(0, skill=1.0)
    found = compare_matches(worse, better, ("cell",), range(40), GROUPS, {"first": np.arange(40) < 25})
    ap = found.summary[0]
    assert ap.is_certain and ap.change.low > 0 and ap.change.p_value < 0.01 and "B is better by" in found.verdict
    assert [row.name for row in found.slices] == ["first"] and math.isfinite(found.slices[0].change.standard_error)
    assert [row.name for row in found.classes] == ["cell"] and found.classes[0].change.estimate == ap.change.estimate
    same = compare_matches(better, better, ("cell",), range(40), GROUPS, {})
    assert same.verdict == "both found the same" and same.summary[0].change.estimate == 0
    changes = [abs(image.second - image.first) for image in found.images]
    assert changes == sorted(changes, reverse=True) and len(changes) == 40


def test_probability_of_a_difference() -> None:
    assert Interval(1.96, 1.0).p_value == pytest.approx(0.05, abs=1e-4) and Interval(0.0, 1.0).p_value == 1
    assert Interval(0.3, 0.1).bounds() == pytest.approx([0.104, 0.496])
    assert math.isnan(Interval(0.3, math.nan).p_value)


def coverage(num_sets: int, num_images: int, num_empty: int = 0) -> tuple[float, float]:
    """Shares of data sets whose interval holds the population's AP, and in which equal models seem to differ.

    Each set has so many images besides in which nothing is and nothing was found.
    """
    population = mean_ap(sampled(rankings(matches(10**6, 4000), 4000, 1), np.ones((1, 4000), bool)))[0]
    groups, covered, rejected = np.arange(num_images + num_empty), 0, 0
    for seed in range(num_sets):
        ap = ap_intervals(matches(2 * seed, num_images), Halves.of(groups, seed), 1).summary["AP"]
        covered += ap.low <= population <= ap.high
        pair = (matches(2 * seed, num_images), matches(2 * seed + 1, num_images))
        rejected += compare_matches(*pair, ("cell",), groups.tolist(), groups, {}, seed=seed).summary[0].is_certain
    return covered / num_sets, rejected / num_sets


@pytest.mark.slow
def test_intervals_hold_what_they_promise() -> None:
    """95 % of 400 data sets: three standard errors of that share are 3.3 %."""
    covered, rejected = coverage(400, 100)
    assert 0.92 <= covered <= 0.98 and 0.02 <= rejected <= 0.085


@pytest.mark.slow
def test_intervals_of_objects_in_few_of_the_images_hold_it_too() -> None:
    """The fewest groups with objects for which there is an interval, among 80 without."""
    covered, rejected = coverage(400, 20, 80)
    assert 0.92 <= covered <= 0.98 and 0.02 <= rejected <= 0.085
