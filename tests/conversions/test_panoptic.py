"""Objects and stuff merged into one map, by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hotcoco import panoptic
from PIL import Image

from maskrcnn.conversions.panoptic import merge_panoptic
from maskrcnn.errors import UserError
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Categories
from maskrcnn.structures.panoptic import PanopticMap

SIZE = (10, 20)
CLASSES = Categories((1, 2, 3), ("car", "road", "sky"), stuff=frozenset({1, 2}))


def prediction(*objects: tuple[int, float, tuple[int, int, int, int]]) -> Prediction:
    """Objects (label, score, box that the mask fills), best first; sky above row 4, road below row 9, else nothing."""
    masks = np.zeros((len(objects), *SIZE), np.uint8)
    for mask, (_, _, (x1, y1, x2, y2)) in zip(masks, objects, strict=True):
        mask[y1:y2, x1:x2] = 1
    semantic = np.full(SIZE, 3, np.uint8)
    semantic[:4], semantic[9:] = 2, 1
    return Prediction(
        boxes=np.array([box for _, _, box in objects], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in objects], np.float32),
        labels=np.array([label for label, _, _ in objects], np.int64),
        image_size=SIZE,
        categories=CLASSES,
        source=np.zeros((*SIZE, 3), np.uint8),
        given_masks=PackedRLE.from_rles(map(encode_rle, masks), SIZE),
        semantic=semantic,
    )


def test_the_better_object_owns_a_pixel_and_stuff_gets_what_is_left() -> None:
    """The second car loses 2 of its 6 columns; of the 80 pixels of sky the cars have 8 x 2 and 4 x 2."""
    merged = merge_panoptic(prediction((0, 0.9, (0, 2, 8, 6)), (0, 0.8, (6, 2, 12, 6))))
    assert [(s.label, s.area) for s in merged.segments] == [(0, 32), (0, 16), (1, 20), (2, 56)]
    assert [s.number for s in merged.segments] == [1, 2, 3, 4]
    assert [s.score for s in merged.segments] == pytest.approx([0.9, 0.8, None, None])
    assert merged.numbers[2].tolist() == [1] * 8 + [2] * 4 + [4] * 8
    assert merged.numbers[5].tolist() == [1] * 8 + [2] * 4 + [0] * 8 and (merged.numbers[9] == 3).all()
    assert np.bincount(merged.numbers.ravel())[1:].tolist() == [s.area for s in merged.segments]


@pytest.mark.parametrize(("left", "stays"), [(5, True), (4, False)])
def test_an_object_goes_with_more_than_half_of_it_under_better_ones(left: int, stays: bool) -> None:
    """Ten columns from `left` on, the first one's ten from 0 on: 5 of 10 under it stay, 6 of 10 do not."""
    merged = merge_panoptic(prediction((0, 0.9, (0, 4, 10, 8)), (0, 0.8, (left, 4, left + 10, 8))))
    assert [s.area for s in merged.segments if s.label == 0] == [40, 20][: 1 + stays]


def test_what_is_left_out() -> None:
    """Objects below the score, objects of stuff, and stuff on less than its share: road has 20 of 200 pixels."""
    found = prediction((1, 0.9, (0, 0, 20, 9)), (0, 0.4, (0, 4, 5, 8)))
    assert [s.label for s in merge_panoptic(found).segments] == [1, 2] == [s.label for s in found.panoptic().segments]
    assert [s.label for s in found.panoptic(0.4).segments] == [0, 1, 2]
    assert [s.label for s in merge_panoptic(found, smallest_share=0.1).segments] == [1, 2]
    assert [s.label for s in merge_panoptic(found, smallest_share=0.11).segments] == [2]
    things_alone = replace(prediction(), categories=Categories((1, 2, 3), ("car", "road", "sky")))
    assert things_alone.panoptic().segments == () and found.is_panoptic


def test_the_quality_of_the_truth_merged_is_one() -> None:
    """As hotcoco counts PQ; without a car, a third of the classes has 0."""
    truth = merge_panoptic(prediction((0, 0.9, (0, 2, 8, 6))))
    without = merge_panoptic(prediction())

    def coco(merged: PanopticMap) -> dict[str, object]:
        annotations = [
            {
                "id": s.number,
                "image_id": 1,
                "category_id": CLASSES.ids[s.label],
                "iscrowd": 0,
                "area": s.area,
                "bbox": [0, 0, 20, 10],
                "segmentation": rle_to_coco(encode_rle((merged.numbers == s.number).astype(np.uint8))),
            }
            for s in merged.segments
        ]
        image = {"id": 1, "file_name": "1.png", "height": SIZE[0], "width": SIZE[1]}
        return {"images": [image], "annotations": annotations, "categories": CLASSES.to_coco()}

    for found, quality in ((truth, 1.0), (without, (1 + 64 / 80 + 0) / 3)):
        counted = panoptic.PanopticEval(coco(truth), coco(found))
        counted.evaluate()
        assert counted.results()["All"]["pq"] == pytest.approx(quality)


def test_real_segments_come_out_as_they_went_in(shared: Path) -> None:
    """COCO's own sample: its things as objects and its stuff as the class of every pixel."""
    folder = shared / "data" / "formats" / "panoptic"
    content = json.loads((folder / "panoptic_examples.json").read_text())
    categories = Categories.from_coco(content["categories"])
    for entry in content["annotations"]:
        with Image.open(folder / "panoptic_examples" / entry["file_name"]) as image:
            numbers = np.asarray(image.convert("RGB"), np.int64) @ [1, 256, 256**2]
        semantic = np.full(numbers.shape, len(categories), np.uint8)
        things = [s for s in entry["segments_info"] if categories.label_of(s["category_id"]) not in categories.stuff]
        for segment in entry["segments_info"]:
            semantic[numbers == segment["id"]] = categories.label_of(segment["category_id"])
        size = (numbers.shape[0], numbers.shape[1])
        found = Prediction(
            boxes=np.zeros((len(things), 4), np.float32),
            scores=np.ones(len(things), np.float32),
            labels=np.array([categories.label_of(s["category_id"]) for s in things], np.int64),
            image_size=size,
            categories=categories,
            source=np.zeros((*size, 3), np.uint8),
            given_masks=PackedRLE.from_rles([encode_rle(np.uint8(numbers == s["id"])) for s in things], size),
            semantic=semantic,
        )
        merged = merge_panoptic(found, smallest_share=0)
        theirs = sorted((s["area"], categories.label_of(s["category_id"])) for s in entry["segments_info"])
        assert sorted((s.area, s.label) for s in merged.segments) == theirs
        pairs = np.unique(np.stack([numbers.ravel(), merged.numbers.ravel()]), axis=1)
        assert len(pairs[0]) == len(set(pairs[0])) == len(set(pairs[1])), "the same pixels together"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="semantic_head"):
        merge_panoptic(replace(prediction(), semantic=None))
