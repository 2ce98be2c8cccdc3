"""What the fast way of each operator gains over its plain reference, on the same input in the same run.

The two take turns (A B A B ...), and the ratio is the median over the pairs, since machines are noisy.

    python benchmarks/ops.py [--pairs 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from maskrcnn.memory import keep_freed_memory
from maskrcnn.ops.keypoints import DECODE
from maskrcnn.ops.mask_crops import CROP_MASKS
from maskrcnn.ops.nms import NMS, NO_LIMIT
from maskrcnn.ops.paste import PASTE
from maskrcnn.ops.rle import encode_rle
from maskrcnn.ops.rle_string import FROM_STRING, counts_to_string
from maskrcnn.ops.roi_align import ROI_ALIGN, RoIAlignOptions
from maskrcnn.ops.roi_pool import ROI_POOL
from maskrcnn.structures import MaskCrops

Case = tuple[str, Callable[[], object], Callable[[], object]]


def random_boxes(count: int, height: int, width: int, side: float) -> torch.Tensor:
    corner = torch.rand(count, 2) * torch.tensor([width - side, height - side])
    return torch.cat([corner, corner + side * (0.25 + 0.75 * torch.rand(count, 2))], dim=1)


def roi_align_case() -> Case:
    features = torch.rand(1, 64, 64, 64).to(memory_format=torch.channels_last)
    boxes, index = random_boxes(8, 64, 64, 16), torch.zeros(8, dtype=torch.int64)
    ways = [lambda way=way: way(features, boxes, index, RoIAlignOptions(7)) for way in ROI_ALIGN.values()]
    return "RoIAlign, 8 boxes, 7 x 7, 64 channels", ways[0], ways[1]


def roi_pool_case() -> Case:
    features = torch.rand(1, 64, 64, 64).to(memory_format=torch.channels_last)
    boxes, index = random_boxes(64, 64, 64, 16), torch.zeros(64, dtype=torch.int64)
    ways = [lambda way=way: way(features, boxes, index, RoIAlignOptions(7)) for way in ROI_POOL.values()]
    return "RoIPool, 64 boxes, 7 x 7, 64 channels", ways[0], ways[1]


def nms_case() -> Case:
    boxes, scores, labels = random_boxes(1000, 800, 1216, 120), torch.rand(1000), torch.zeros(1000, dtype=torch.int64)
    ways = [lambda way=way: way(boxes, scores, labels, 0.7, NO_LIMIT) for way in NMS.values()]
    return "NMS, 1000 boxes", ways[0], ways[1]


def paste_case() -> Case:
    boxes, probs = random_boxes(20, 800, 1216, 120), torch.rand(20, 28, 28)
    ways = [lambda way=way: way(probs, boxes, (800, 1216), 0.5, "exact") for way in PASTE.values()]
    return "paste, 20 masks into 800 x 1216", ways[0], ways[1]


def crop_masks_case() -> Case:
    bitmaps = (torch.rand(4, 64, 64) > 0.5).to(torch.uint8)
    masks, boxes = MaskCrops.from_bitmaps(bitmaps), random_boxes(4, 64, 64, 32)
    options = RoIAlignOptions(28, sampling_ratio=0)
    ways = [lambda way=way: way(masks, boxes, torch.arange(4), options) for way in CROP_MASKS.values()]
    return "mask targets, 4 RoIs, 28 x 28", ways[0], ways[1]


def keypoints_case() -> Case:
    logits, boxes = torch.randn(20, 17, 56, 56), random_boxes(20, 800, 1216, 400)
    ways = [lambda way=way: way(logits, boxes) for way in DECODE.values()]
    return "keypoints, 20 boxes, 17 maps, 56 x 56", ways[0], ways[1]


def rle_string_case() -> Case:
    bitmap = torch.zeros(480, 640, dtype=torch.uint8)
    for x in range(200, 300):
        bitmap[100 + (x * 7) % 11 : 240 - (x * 5) % 13, x] = 1
    texts = [counts_to_string(encode_rle(bitmap.numpy()).counts)] * 200
    ways = [lambda way=way: [way(text) for text in texts] for way in FROM_STRING.values()]
    return f"200 RLE strings of {len(texts[0])} characters", ways[0], ways[1]


def milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    keep_freed_memory()
    torch.manual_seed(0)
    makers = roi_align_case, roi_pool_case, nms_case, paste_case, crop_masks_case, keypoints_case, rle_string_case
    cases = [make() for make in makers]
    print(f"{'operator':40} {'reference ms':>13} {'fast ms':>9} {'ratio':>7}")
    for name, reference, fast in cases:
        reference(), fast()
        times = [(milliseconds(reference), milliseconds(fast)) for _ in range(pairs)]
        slow, quick = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"{name:40} {slow:13.1f} {quick:9.2f} {ratio:6.1f}x")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
