from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from safetensors.numpy import load_file

from maskrcnn.masks.paste import PASTE, RULES, Rule, paste_masks, paste_rles, paste_windows
from maskrcnn.masks.rle import decode_rle
from maskrcnn.structures import MaskCrops, Size
from maskrcnn.structures.masks import BoolArray, Float32Array

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

WAYS = pytest.mark.parametrize("way", PASTE)
EACH_RULE = pytest.mark.parametrize("rule", RULES)

NAN, INF = float("nan"), float("inf")
WITHOUT_MASK = [
    [NAN, 0.0, 5.0, 5.0],
    [0.0, 0.0, INF, 5.0],
    [-INF, -INF, INF, INF],
    [9.0, 9.0, 3.0, 3.0],  # reversed
    [3.0, 9.0, 9.0, 3.0],  # reversed in y
    [4.0, 4.0, 4.0, 8.0],  # no width
    [500.0, 500.0, 510.0, 510.0],  # outside
    [-60.0, 2.0, -40.0, 9.0],
    [1e30, 1e30, 2e30, 2e30],
    [-3e38, -3e38, 3e38, 3e38],  # its sides are no float32
]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def random_boxes(random: np.random.Generator, count: int, size: Size) -> Float32Array:
    """Inside, partly outside, larger than the image, below a pixel."""
    extent = np.array(size[::-1])
    centres, sides = random.random((count, 2)) * extent, random.random((count, 2)) ** 2 * 1.5 * extent + 0.1
    return np.hstack([centres - sides / 2, centres + sides / 2]).astype(np.float32)


def random_probs(random: np.random.Generator, count: int, side: int | tuple[int, int]) -> Float32Array:
    return random.random((count, *((side, side) if isinstance(side, int) else side)), np.float32)


def pasted(way: str, probs: Float32Array, boxes: Float32Array, size: Size, threshold: float, rule: Rule) -> MaskCrops:
    crops = list(PASTE[way](probs, boxes, size, threshold, rule))
    return MaskCrops.from_crops([crop for crop, _ in crops], [window for _, window in crops], size)


def boxes_of(*rows: list[float]) -> Float32Array:
    return np.array(rows, np.float32).reshape(-1, 4)


@WAYS
def test_a_full_mask_covers_the_pixels_whose_centre_is_in_the_box(way: str) -> None:
    box = boxes_of([2.0, 1.0, 6.0, 4.4])
    bitmap = pasted(way, np.ones((1, 28, 28), np.float32), box, (6, 8), 0.5, "exact").bitmaps()[0]
    expected = np.zeros((6, 8), np.uint8)
    expected[1:4, 2:6] = 1
    assert np.array_equal(bitmap, expected)


@WAYS
def test_mask_pixels_are_image_pixels_when_the_box_has_their_number(way: str, random: np.random.Generator) -> None:
    """An M x M mask in an M x M box on whole pixels is copied."""
    probs = random_probs(random, 1, 5)
    bitmap = pasted(way, probs, boxes_of([3.0, 2.0, 8.0, 7.0]), (10, 12), 0.5, "exact").bitmaps()[0]
    assert np.array_equal(bitmap[2:7, 3:8], probs[0] >= 0.5)
    assert bitmap.sum() == (probs >= 0.5).sum()


@WAYS
def test_between_mask_pixels_is_bilinear(way: str) -> None:
    """Mask row (0, 1) over four pixels: values 0, 0.25, 0.75, and 0.75 on the way to the zeros outside."""
    probs = np.array([[[0.0, 1.0], [0.0, 1.0]]], np.float32)
    box = boxes_of([0.0, 0.0, 4.0, 2.0])
    for threshold, expected in [(0.2, [0, 1, 1, 1]), (0.3, [0, 0, 1, 1]), (0.8, [0, 0, 0, 0])]:
        assert pasted(way, probs, box, (2, 4), threshold, "exact").bitmaps()[0, 0].tolist() == expected


@WAYS
def test_the_threshold_is_met_by_equality_in_one_rule_only(way: str) -> None:
    half = np.full((1, 4, 4), 0.5, np.float32)
    box = boxes_of([0.0, 0.0, 8.0, 8.0])
    assert pasted(way, half, box, (8, 8), 0.5, "exact").bitmaps()[0, 2:6, 2:6].all()
    assert not pasted(way, half, box, (8, 8), 0.5, "torchvision").bitmaps().any()


@EACH_RULE
@pytest.mark.parametrize("side", [14, 28, (28, 14)])
@pytest.mark.parametrize("threshold", [0.5, 0.1])
def test_ways_agree(random: np.random.Generator, rule: Rule, side: int | tuple[int, int], threshold: float) -> None:
    size = (40, 60)
    boxes = np.vstack([random_boxes(random, 30, size), boxes_of(*WITHOUT_MASK)])
    probs = random_probs(random, len(boxes), side)
    expected, *others = (pasted(way, probs, boxes, size, threshold, rule).bitmaps() for way in PASTE)
    assert expected.sum() > 1000
    for bitmaps in others:
        assert (bitmaps != expected).sum() <= 3  # float32 against float64 at the threshold


@EACH_RULE
def test_the_definition_is_what_pytorch_computes(random: np.random.Generator, rule: Rule) -> None:
    """By operators that know nothing of ours: `grid_sample`, and `interpolate` of a padded mask."""
    size = (40, 60)
    for side in (14, (14, 9)):
        boxes, probs = random_boxes(random, 30, size), random_probs(random, 30, side)
        expected = [_BY_PYTORCH[rule](one, box, size) for one, box in zip(probs, boxes, strict=True)]
        assert (paste_masks(probs, boxes, size, 0.5, rule) != np.stack(expected)).sum() <= 1


def exact_by_pytorch(probs: Float32Array, box: Float32Array, size: Size) -> BoolArray:
    height, width = size
    x1, y1, x2, y2 = box.astype(np.float64).tolist()
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - x1) / (x2 - x1)
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - y1) / (y2 - y1)
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)
    grid = grid * 2 - 1  # grid_sample counts from -1 to 1 across the mask
    values = F.grid_sample(torch.from_numpy(probs).double()[None, None], grid[None], align_corners=False)[0, 0]
    return (values >= 0.5).numpy()


def torchvision_by_pytorch(probs: Float32Array, box: Float32Array, size: Size) -> BoolArray:
    sides = np.array(probs.shape[::-1])
    centre, half = (box[2:] + box[:2]) * 0.5, (box[2:] - box[:2]) * 0.5 * ((sides + 2) / sides).astype(np.float32)
    x1, y1 = (centre - half).astype(int).tolist()
    x2, y2 = ((centre + half).astype(int) + 1).tolist()
    padded = F.pad(torch.from_numpy(probs).double(), (1, 1, 1, 1))[None, None]
    resized = F.interpolate(padded, (y2 - y1, x2 - x1), mode="bilinear")[0, 0].numpy()
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, size[1]), min(y2, size[0])
    frame = np.zeros(size, bool)
    if left < right and top < bottom:
        frame[top:bottom, left:right] = resized[top - y1 : bottom - y1, left - x1 : right - x1] > 0.5
    return frame


_BY_PYTORCH = {"exact": exact_by_pytorch, "torchvision": torchvision_by_pytorch}


@WAYS
@EACH_RULE
def test_hostile_boxes_have_no_mask(way: str, rule: Rule) -> None:
    boxes = boxes_of(*WITHOUT_MASK)
    crops = pasted(way, np.ones((len(boxes), 28, 28), np.float32), boxes, (30, 40), 0.5, rule)
    assert not crops.bitmaps().any() and crops.pixels.size == 0


@EACH_RULE
def test_a_huge_box_sees_the_middle_of_its_mask_and_stays_in_the_image(rule: Rule) -> None:
    probs = np.zeros((1, 4, 4), np.float32)
    probs[:, 1:3, 1:3] = 1
    ((crop, window),) = paste_windows(probs, boxes_of([-1e9, -1e9, 1e9, 1e9]), (30, 40), rule=rule)
    assert window == (0, 0, 40, 30) and crop.all()


@WAYS
@EACH_RULE
def test_no_detections(way: str, rule: Rule) -> None:
    crops = pasted(way, np.zeros((0, 28, 28), np.float32), boxes_of(), (30, 40), 0.5, rule)
    assert len(crops) == 0 and crops.image_size == (30, 40)


def test_run_lengths_and_windows_say_the_same(random: np.random.Generator) -> None:
    size = (40, 60)
    boxes, probs = random_boxes(random, 12, size), random_probs(random, 12, 28)
    frames = pasted("separable", probs, boxes, size, 0.5, "exact").bitmaps()
    for frame, rle, (crop, (x1, y1, x2, y2)) in zip(
        frames, paste_rles(probs, boxes, size), paste_windows(probs, boxes, size), strict=True
    ):
        np.testing.assert_array_equal(decode_rle(rle), frame)
        np.testing.assert_array_equal(crop, frame[y1:y2, x1:x2])


def test_memory_is_what_the_boxes_cover() -> None:
    """A thousand objects of 40 x 40 pixels on 12 megapixels."""
    start = np.arange(1000.0)[:, None] * [[3.9, 2.9]]
    boxes = np.hstack([start, start + 40]).astype(np.float32)
    crops = pasted("separable", np.ones((1000, 28, 28), np.float32), boxes, (3000, 4000), 0.5, "exact")
    assert 1000 * 38 * 38 < crops.pixels.size < 1000 * 44 * 44


# --- golden values of detectron2 and torchvision ----------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("side", [14, 28])
@pytest.mark.parametrize(("library", "rule"), [("detectron2", "exact"), ("torchvision", "torchvision")])
def test_golden_paste(shared: Path, way: str, side: int, library: str, rule: Rule) -> None:
    golden = load_file(shared / "golden" / "ops" / "paste.safetensors")
    entry = json.loads((shared / "golden" / "ops" / "ops.json").read_text())["files"]["paste"]
    height, width = entry["image_size"]
    bits = np.unpackbits(golden[f"{library}.{side}.packed"], axis=1)[:, : height * width]
    bitmaps = pasted(way, golden[f"masks.{side}"], golden["boxes"], (height, width), 0.5, rule).bitmaps()
    assert (bitmaps != bits.reshape(-1, height, width)).sum() <= 2


@pytest.mark.parametrize(
    "case",
    [
        "d2_fpn_r50",
        "d2_c4_r50",
        "d2_dc5_r50",
        "d2_class_agnostic",
        "d2_fpn_gn",
        "tv_maskrcnn_fpn",
        "tv_maskrcnn_fpn_v2",
    ],
)
def test_golden_masks_of_whole_models(shared: Path, case: str) -> None:
    golden = load_file(shared / "golden" / case / "golden.safetensors")
    rles = json.loads((shared / "golden" / case / "golden.json").read_text())["masks_rle"]
    rule = "exact" if case.startswith("d2") else "torchvision"
    for i, image_rles in enumerate(rles):
        probs, boxes = golden[f"detections.{i}.mask_probs"], golden[f"detections.{i}.boxes_original"]
        size = tuple(golden["original_sizes"][i].tolist())
        for rle, expected in zip(paste_rles(probs, boxes, size, 0.5, rule), image_rles, strict=True):
            wrong = decode_rle(rle) != coco_mask.decode([expected])[..., 0]
            assert wrong.sum() <= 2
