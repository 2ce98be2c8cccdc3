from __future__ import annotations

from typing import Any

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation.verdicts import Verdict, judge
from maskrcnn.scoring import ground_truth_of


def entry(x: int, width: int = 20, **more: Any) -> dict[str, Any]:
    return {"image_id": 2, "category_id": 7, "bbox": [x, 0, width, 10], **more}


def test_right_wrong_double_missed_and_ignored() -> None:
    objects = [entry(0), entry(100), entry(200, 50, iscrowd=1)]
    annotations = [
        {"id": i, "area": 200, "iscrowd": 0, **o} for i, o in enumerate([entry(0, image_id=1), *objects], start=1)
    ]
    content = {
        "images": [{"id": i, "width": 600, "height": 40} for i in (1, 2)],
        "annotations": [{**annotations[0], "image_id": 1}, *annotations[1:]],
        "categories": [{"id": 7, "name": "a"}],
    }
    truth = ground_truth_of(read_coco(content, need_masks=False))
    found = [entry(300, score=0.9), entry(0, score=0.5), entry(1, score=0.6), entry(210, score=0.7)]
    verdicts = judge(truth, 2, found, "box", 100)
    assert list(verdicts.found) == [Verdict("wrong"), Verdict("double", 1), Verdict("right", 1), Verdict()]
    assert verdicts.missed == {2}
    assert judge(truth, 2, [], "box", 100).missed == {1, 2}
    assert judge(truth, 2, found, "box", 1).missed == {1, 2}, "one counts, the best, and it is wrong"
