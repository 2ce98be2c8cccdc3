"""Panoptic quality by hand, against panopticapi's rules written down once more, and on COCO's own sample."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hotcoco.panoptic import pq_compute

from maskrcnn.data.formats.panoptic import segment_ids
from maskrcnn.data.formats.table import open_labels, read_any
from maskrcnn.data.images import read_values
from maskrcnn.evaluation.panoptic import PanopticClass, PanopticCounts
from maskrcnn.evaluation.table import panoptic_tables
from maskrcnn.results.panoptic import save_segments
from maskrcnn.scoring import true_panoptic_map
from maskrcnn.structures import Categories
from maskrcnn.structures.masks import IntArray
from maskrcnn.structures.panoptic import PanopticMap, Segment

CLASSES = Categories((1, 2, 3), ("car", "sky", "road"), stuff=frozenset({1, 2}))
VOID, BACKGROUND = -1, 3


def panoptic(pixels: IntArray, classes: dict[int, int], crowds: tuple[int, ...] = ()) -> PanopticMap:
    """Of a picture of numbers, each a segment of a class; those that no pixel has are left out."""
    areas = Counter(pixels.ravel().tolist())
    segments = [Segment(n, label, areas[n], is_crowd=n in crowds) for n, label in classes.items() if areas[n]]
    return PanopticMap(pixels.astype(np.int32), tuple(segments))


def test_by_hand() -> None:
    """Rows of 10 pixels: car 1 is found by 8 and one of its neighbour's (IoU 8 / 11); 5 of car 2's 10 are not more than
    half; sky is found whole, and the road said in the background is wrong."""
    truth = np.repeat([1, 2, 3, 4], 10).reshape(4, 10)
    found = truth.copy()
    found[0, 8:], found[1, :5], found[1, 0], found[3, 3:] = 0, 0, 1, 0
    found[3, :3] = 5
    counts = PanopticCounts(CLASSES)
    counts.add(panoptic(truth, {1: 0, 2: 0, 3: 1, 4: BACKGROUND}), panoptic(found, {1: 0, 2: 0, 3: 1, 5: 2}))
    metrics = counts.metrics()
    car, sky, road = metrics.classes
    assert car == PanopticClass("car", False, pytest.approx(8 / 11), 1, 1, 1)
    assert (sky.qualities, road.qualities) == ((1, 1, 1), (0, 0, 0))
    assert (road.true_positives, road.false_positives, road.false_negatives) == (0, 1, 0)
    assert car.qualities == pytest.approx((8 / 11 / 2, 8 / 11, 1 / 2))
    assert metrics.groups["all"] == pytest.approx(((4 / 11 + 1) / 3, (8 / 11 + 1) / 3, 0.5, 3))
    assert metrics.groups["stuff"] == (0.5, 0.5, 0.5, 2) and metrics["PQ"] == metrics.groups["all"][0]
    assert metrics.to_dict()["things"] == {"PQ": car.qualities[0], "SQ": car.qualities[1], "RQ": 0.5, "num_classes": 1}
    assert panoptic_tables(metrics)[1][1] == ["car", "things", "1", "1", "1", "0.364", "0.727", "0.500"]


def test_void_and_crowds_are_no_mistakes() -> None:
    """A car mostly in void or in a crowd of cars is not counted, in a crowd of another class or in background it is."""
    truth = np.zeros((4, 10), np.int64)
    truth[1], truth[2], truth[3] = 1, 2, 3
    found = np.repeat([1, 2, 3, 4], 10).reshape(4, 10)
    found[:, 6:] = 0
    counts = PanopticCounts(CLASSES)
    counts.add(
        panoptic(truth, {1: 0, 2: 1, 3: BACKGROUND}, crowds=(1, 2)), panoptic(found, dict.fromkeys(range(1, 5), 0))
    )
    car, sky, _ = counts.metrics().classes
    assert (car.true_positives, car.false_positives, car.false_negatives) == (0, 2, 0) and not sky.is_counted
    assert all(map(math.isnan, sky.qualities)) and counts.metrics().to_dict()["stuff"]["PQ"] is None
    half_void = np.zeros((1, 10), np.int64)
    half_void[0, 5:] = 1
    counts.add(panoptic(half_void, {1: 0}), panoptic(np.ones((1, 10), np.int64), {1: 0}))
    assert counts.metrics().classes[0].iou_sum == pytest.approx(1), "void is left out of the union"


def by_the_rules(truth: PanopticMap, found: PanopticMap) -> list[tuple[float, int, int, int]]:
    """`pq_compute_single_core` of panopticapi, pixel sets and all."""
    pixels = {(side, s.number): m.numbers == s.number for side, m in enumerate((truth, found)) for s in m.segments}
    void, rows = truth.numbers == 0, [[0.0, 0, 0, 0] for _ in range(len(CLASSES) + 1)]
    matched: set[tuple[int, int]] = set()
    for t in truth.segments:
        for f in found.segments:
            a, b = pixels[0, t.number], pixels[1, f.number]
            iou = (a & b).sum() / ((a | b).sum() - (b & void).sum())
            if t.label == f.label and not t.is_crowd and iou > 0.5:
                rows[t.label][0] += iou
                rows[t.label][1] += 1
                matched |= {(0, t.number), (1, f.number)}
    for t in truth.segments:
        rows[t.label][3] += not t.is_crowd and (0, t.number) not in matched
    for f in found.segments:
        ignored = void.copy()
        for t in truth.segments:
            if t.is_crowd and t.label == f.label:
                ignored |= pixels[0, t.number]
        inside = (pixels[1, f.number] & ignored).sum() / f.area
        rows[f.label][2] += (1, f.number) not in matched and inside <= 0.5
    return [(row[0], int(row[1]), int(row[2]), int(row[3])) for row in rows[: len(CLASSES)]]


def test_random_maps_by_the_rules() -> None:
    """Things, stuff, crowds, void and background in blocks, and the same with changes."""
    rng = np.random.default_rng(0)
    counts, expected = PanopticCounts(CLASSES), np.zeros((3, 4))
    classes = {1: 0, 2: 0, 3: 0, 4: 1, 5: 2, 6: BACKGROUND, 7: 0}
    for _ in range(40):
        blocks = np.kron(rng.integers(0, 8, (4, 5)), np.ones((3, 3), np.int64))
        truth = panoptic(blocks, classes, crowds=(7,))
        changed = np.where(rng.random(blocks.shape) < 0.25, rng.integers(0, 6, blocks.shape), blocks)
        found = panoptic(np.where(changed > 5, 0, changed), {n: label for n, label in classes.items() if n < 6})
        counts.add(truth, found)
        expected += by_the_rules(truth, found)
    rows = [(c.iou_sum, c.true_positives, c.false_positives, c.false_negatives) for c in counts.metrics().classes]
    assert np.allclose(rows, expected) and (expected[:, 1:] > 0).all()


def test_cocos_sample(shared: Path, tmp_path: Path) -> None:
    """Our reading of its truth against the same moved by some pixels, as hotcoco counts the files of both."""
    path = shared / "data" / "formats" / "panoptic" / "panoptic_examples.json"
    data = read_any(open_labels(path), None)
    counts, content = PanopticCounts(data.categories), json.loads(path.read_text())
    ids_of = {entry["name"]: entry["id"] for entry in content["categories"]}
    for number, entry in enumerate(content["annotations"]):
        truth = true_panoptic_map(data, number, data.categories)
        ids = segment_ids(read_values(path.parent / "panoptic_examples" / entry["file_name"]), "")
        assert len(truth.segments) == len(entry["segments_info"]) and np.array_equal(truth.numbers == 0, ids == 0)
        assert sorted(s.area for s in truth.segments) == sorted(s["area"] for s in entry["segments_info"])
        assert sum(s.is_crowd for s in truth.segments) == sum(s["iscrowd"] for s in entry["segments_info"])
        moved = PanopticMap(np.roll(truth.numbers, 6, axis=1), tuple(s for s in truth.segments if not s.is_crowd))
        moved = PanopticMap(
            np.where(np.isin(moved.numbers, [s.number for s in moved.segments]), moved.numbers, 0).astype(np.int32),
            moved.segments,
        )
        counts.add(truth, moved)
        entry |= save_segments(tmp_path / "moved" / entry["file_name"], moved, data.categories)
        for info in entry["segments_info"]:
            info["category_id"] = ids_of[data.categories.names[data.categories.label_of(info["category_id"])]]
    (tmp_path / "moved.json").write_text(json.dumps(content))
    theirs = pq_compute(str(path), str(tmp_path / "moved.json"))
    assert 0.1 < theirs["All"]["pq"] < 0.95
    for group, (*qualities, classes) in counts.metrics().groups.items():
        their = theirs[group.capitalize()]
        assert [*qualities, classes] == pytest.approx([their[name] for name in ("pq", "sq", "rq", "n")])
