"""What the fast way of each operator gains over its plain reference, on the same input in the same run.

For Winograd's algorithm the reference is the direct convolution, with its ReLU fused. On a GPU, where there is one, the
kernels are measured against the fast way of the CPU, which also runs there.

The two take turns (A B A B ...), and the ratio is the median over the pairs, since machines are noisy.

    python benchmarks/ops.py [--pairs 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from maskrcnn.kernels.convolution import CONVOLUTION, ConvolutionOptions, convolve_fused
from maskrcnn.kernels.winograd import convolve_winograd, transformed
from maskrcnn.masks.paste import PASTE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.rle_string import FROM_STRING, counts_to_string
from maskrcnn.ops.keypoints import DECODE
from maskrcnn.ops.mask_crops import CROP_MASKS
from maskrcnn.ops.nms import NMS, NO_LIMIT
from maskrcnn.ops.roi_align import ROI_ALIGN, pool_levels, roi_align, roi_align_bags
from maskrcnn.ops.roi_options import RoIAlignOptions, RoIOperator
from maskrcnn.ops.roi_pool import ROI_POOL
from maskrcnn.process import begin_with_settings
from maskrcnn.structures import PackedMasks

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


def residual_case() -> Case:
    """The last convolution of a bottleneck in stage 2, at 800 x 1216 pixels."""
    x, shortcut = channels_last(1, 64, 200, 304), channels_last(1, 256, 200, 304)
    weight, bias = torch.randn(256, 64, 1, 1) / 8, torch.randn(256)
    options = ConvolutionOptions(relu=True)
    ways = [lambda way=way: way(x, weight, bias, shortcut, options) for way in CONVOLUTION.values()]
    return "relu(1x1 conv + shortcut), 256 x 200 x 304", ways[0], ways[1]


def winograd_case(*shape: int) -> Callable[[], Case]:
    """A 3x3 convolution: a level of the pyramid, RoI features, or part of the backbone."""

    def case() -> Case:
        width = shape[1]
        x, bias = channels_last(*shape), torch.randn(width)
        weight = torch.randn(width, width, 3, 3) / (3 * width**0.5)
        options = ConvolutionOptions(padding=(1, 1), relu=True)
        name = f"relu(3x3 conv), {' x '.join(map(str, shape))}"
        return (
            name,
            lambda: convolve_fused(x, weight, bias, None, options),
            lambda: convolve_winograd(x, transformed(weight, x.shape), bias, relu=True),
        )

    return case


def channels_last(*shape: int) -> torch.Tensor:
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


def nms_case() -> Case:
    boxes, scores, labels = random_boxes(1000, 800, 1216, 120), torch.rand(1000), torch.zeros(1000, dtype=torch.int64)
    ways = [lambda way=way: way(boxes, scores, labels, 0.7, NO_LIMIT) for way in NMS.values()]
    return "NMS, 1000 boxes", ways[0], ways[1]


def nms_gpu_case(count: int) -> Callable[[], Case]:
    """Proposals of five pyramid levels, of which 1000 are kept."""

    def case() -> Case:
        boxes, scores = random_boxes(count, 800, 1216, 120).cuda(), torch.rand(count).cuda()
        labels = torch.arange(count).cuda() % 5
        ways = [lambda way=NMS[name]: way(boxes, scores, labels, 0.7, 1000) for name in ("blocks", "triton")]
        return f"GPU: NMS, {count} boxes", ways[0], ways[1]

    return case


def roi_align_gpu_case(size: int, training: bool) -> Callable[[], Case]:
    """Boxes of two images of 800 x 1216 pixels, read from four levels of 256 channels in bfloat16."""
    count = 512 if training else 1000
    scales = [1 / 4, 1 / 8, 1 / 16, 1 / 32]

    @torch.inference_mode(False)
    def case() -> Case:
        maps = [channels_last(2, 256, 200 >> i, 304 >> i).cuda().bfloat16().requires_grad_(training) for i in range(4)]
        boxes = torch.cat([random_boxes(count // 2, 800, 1216, side) for side in (100, 200, 400, 700)]).cuda()
        levels = torch.arange(4).repeat_interleave(count // 2).cuda()
        index = torch.arange(2 * count).cuda() % 2

        def run_by(operator: RoIOperator) -> Callable[[], object]:
            @torch.inference_mode(False)
            def run() -> object:
                pooled = pool_levels(operator, maps, boxes, index, levels, scales, RoIAlignOptions(size))
                return torch.autograd.grad(pooled.sum(), maps) if training else pooled

            return run

        step = "RoIAlign and its gradient" if training else "RoIAlign"
        return f"GPU: {step}, {2 * count} boxes, {size} x {size}", run_by(roi_align_bags), run_by(roi_align)

    return case


def paste_case() -> Case:
    boxes, probs = random_boxes(20, 800, 1216, 120), torch.rand(20, 28, 28)
    ways = [lambda way=way: way(probs, boxes, (800, 1216), 0.5, "exact") for way in PASTE.values()]
    return "paste, 20 masks into 800 x 1216", ways[0], ways[1]


def crop_masks_case() -> Case:
    bitmaps = (torch.rand(4, 64, 64) > 0.5).to(torch.uint8)
    masks, boxes = PackedMasks.from_bitmaps(bitmaps), random_boxes(4, 64, 64, 32)
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
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    torch.manual_seed(0)
    makers: tuple[Callable[[], Case], ...] = (
        residual_case,
        winograd_case(1, 256, 200, 304),
        winograd_case(1, 256, 100, 152),
        winograd_case(1, 256, 50, 76),
        winograd_case(1, 256, 32, 48),
        winograd_case(100, 256, 14, 14),
        winograd_case(300, 512, 7, 7),
        winograd_case(1, 128, 100, 152),
        roi_align_case,
        roi_pool_case,
        nms_case,
        paste_case,
        crop_masks_case,
        keypoints_case,
        rle_string_case,
    )
    if torch.cuda.is_available():
        makers += (
            *(nms_gpu_case(count) for count in (1000, 5000)),
            *(roi_align_gpu_case(size, training) for training in (False, True) for size in (7, 14)),
        )
    cases = [make() for make in makers]
    print(f"{'operator':42} {'reference ms':>13} {'fast ms':>9} {'ratio':>7}")
    for name, reference, fast in cases:
        reference(), fast()
        times = [(milliseconds(reference), milliseconds(fast)) for _ in range(pairs)]
        slow, quick = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"{name:42} {slow:13.1f} {quick:9.2f} {ratio:6.1f}x")


if __name__ == "__main__":
    begin_with_settings()
    with torch.inference_mode():
        main()
