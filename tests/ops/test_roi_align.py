from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from maskrcnn.ops import roi_align as roi_align_module
from maskrcnn.ops.boxes import clip_boxes
from maskrcnn.ops.roi_align import POOL_LEVELS, ROI_ALIGN, pool_levels, roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.ops.roi_pool import roi_pool

WAYS = pytest.mark.parametrize("way", ROI_ALIGN)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
BOXES = torch.tensor(
    [
        [1.0, 1.0, 6.0, 5.0],
        [0.3, 2.7, 3.1, 6.9],
        [-4.0, -3.0, 4.0, 3.0],  # partly outside
        [50.0, 50.0, 60.0, 60.0],  # wholly outside
        [2.0, 2.0, 2.0, 2.0],  # empty
        [5.0, 5.0, 3.0, 2.0],  # reversed
    ]
)


@WAYS
def test_a_ramp_is_sampled_exactly(way: str, device: str) -> None:
    """On f(y, x) = 10 y + x bilinear sampling is exact, so a bin's mean is the value at its centre."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    options = RoIAlignOptions(2, sampling_ratio=2, aligned=True)
    arguments = (10 * y + x)[None, None], torch.tensor([[1.0, 2, 5, 6]]), torch.tensor([0])
    pooled = ROI_ALIGN[way](*(x.to(device) for x in arguments), options)
    # bin centres at x = 2, 4 and y = 3, 5, in pixels; the centre of cell i lies at i + 0.5
    assert pooled.tolist() == [[[[25 + 1.5, 25 + 3.5], [45 + 1.5, 45 + 3.5]]]]


@pytest.mark.parametrize("way", ["reference", "bags"])
def test_max_takes_the_largest_sample(way: str) -> None:
    feature = torch.zeros(1, 1, 4, 4)
    feature[0, 0, 1, 2] = 8.0
    options = RoIAlignOptions(1, sampling_ratio=4, aligned=True, reduce="max")
    pooled = ROI_ALIGN[way](feature, torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([0]), options)
    assert pooled.item() == 8.0


@pytest.mark.parametrize("way", ["triton"])
def test_kernels_refuse_to_take_the_largest(way: str, device: str) -> None:
    features, index = torch.zeros(1, 1, 4, 4, device=device), torch.zeros(1, dtype=torch.int64, device=device)
    with pytest.raises(ValueError, match="average the samples"):
        ROI_ALIGN[way](features, torch.ones(1, 4, device=device), index, RoIAlignOptions(1, reduce="max"))


def pooled_and_gradient(
    way: str, device: str, options: RoIAlignOptions, boxes: Tensor, index: Tensor, features: Tensor
) -> tuple[Tensor, Tensor]:
    """Of a loss that weighs every output differently."""
    features = features.to(device, copy=True).requires_grad_()
    pooled = ROI_ALIGN[way](features, boxes.to(device), index.to(device), options)
    weights = torch.linspace(0, 1, pooled.numel(), device=device).view_as(pooled)
    (pooled * weights.to(pooled.dtype)).sum().backward()
    return pooled.detach().cpu(), features.grad.cpu()


def agreements() -> Iterator[tuple[str, int, bool, str]]:
    """What each way is compared with the reference in: the kernels are slow to interpret, and only average."""
    for sampling_ratio, aligned in itertools.product([0, 1, 2, 3], [True, False]):
        yield from (("bags", sampling_ratio, aligned, reduce) for reduce in ("mean", "max"))
        if sampling_ratio in (0, 2):
            yield "triton", sampling_ratio, aligned, "mean"


@pytest.mark.parametrize(("way", "sampling_ratio", "aligned", "reduce"), list(agreements()))
def test_ways_agree_with_their_gradients(
    way: str, device: str, sampling_ratio: int, aligned: bool, reduce: str
) -> None:
    torch.manual_seed(0)
    size = 2 if way == "triton" else 3
    options = RoIAlignOptions(size, 0.5, sampling_ratio, aligned, reduce)
    case = options, BOXES.double() * 2, torch.tensor([0, 1, 1, 0, 0, 1]), torch.rand(2, 3, 7, 9, dtype=torch.float64)
    results = pooled_and_gradient(way, device, *case)
    for result, expected in zip(results, pooled_and_gradient("reference", "cpu", *case), strict=True):
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("way", ["triton"])
def test_kernels_agree_in_several_pieces(monkeypatch: pytest.MonkeyPatch, way: str, device: str) -> None:
    """Backward, more channels, bins and boxes than go through a program at once."""
    from maskrcnn.ops.triton import roi_align as triton_roi_align

    for name, value in {"TILE_CHANNELS": 16, "BINS": 16, "BOXES": 2}.items():
        monkeypatch.setattr(triton_roi_align, name, value)
    torch.manual_seed(0)
    boxes = torch.tensor([[0.5, 0, 6, 4], [9, 9, 9, 9], [1, 1, 3, 5]], dtype=torch.float64)
    features = torch.rand(1, 17, 4, 5, dtype=torch.float64)
    case = RoIAlignOptions(5, sampling_ratio=1), boxes, torch.zeros(3, dtype=torch.int64), features
    results = pooled_and_gradient(way, device, *case)
    for result, expected in zip(results, pooled_and_gradient("bags", "cpu", *case), strict=True):
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("way", ["triton"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float16, 1e-3), (torch.bfloat16, 8e-3)])
def test_kernels_take_the_types_of_mixed_precision(way: str, device: str, dtype: torch.dtype, tolerance: float) -> None:
    """Sums are float32 in any case; what is left is one rounding at the end."""
    torch.manual_seed(0)
    features = torch.rand(1, 3, 4, 4).to(dtype)
    case = RoIAlignOptions(2), BOXES[:2], torch.zeros(2, dtype=torch.int64)
    results = pooled_and_gradient(way, device, *case, features)
    expected = pooled_and_gradient("bags", "cpu", *case, features.double())
    for result, exact in zip(results, expected, strict=True):
        assert result.dtype == dtype
        torch.testing.assert_close(result.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("way", ["triton"])
def test_kernels_without_boxes(way: str, device: str) -> None:
    features = torch.rand(1, 3, 4, 4, device=device, requires_grad=True)
    index = torch.zeros(0, dtype=torch.int64, device=device)
    pooled = ROI_ALIGN[way](features, torch.zeros(0, 4, device=device), index, RoIAlignOptions(7))
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert torch.equal(features.grad, torch.zeros_like(features))


LEVELS = torch.tensor([1, 0, 0, 1, 1])


@pytest.mark.parametrize("operator", [roi_align, roi_pool])
def test_each_box_is_read_from_its_own_map(operator: Callable[..., Tensor]) -> None:
    features, index = [torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 4)], torch.tensor([0, 1, 0, 0, 1])
    pooled = pool_levels(operator, features, BOXES[:5], index, LEVELS, [1.0, 0.5], RoIAlignOptions(2))
    assert pooled.is_contiguous(memory_format=torch.channels_last)
    for i, level in enumerate(LEVELS.tolist()):
        options = RoIAlignOptions(2, spatial_scale=[1.0, 0.5][level])
        alone = operator(features[level], BOXES[i : i + 1], index[i : i + 1], options)
        torch.testing.assert_close(pooled[i : i + 1], alone)


@pytest.mark.parametrize("way", ["triton"])
def test_kernels_read_each_box_from_its_own_map(monkeypatch: pytest.MonkeyPatch, way: str, device: str) -> None:
    from maskrcnn.ops.triton import roi_align as triton_roi_align

    monkeypatch.setattr(triton_roi_align, "CHANNELS", 2)  # so that the three channels take two programs
    torch.manual_seed(0)
    features = [torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 4), torch.rand(2, 3, 2, 2)]
    results = []
    for suits, place in ((True, device), (False, "cpu")):
        monkeypatch.setattr(roi_align_module, "can_use_triton", lambda x, suits=suits: suits)
        maps = [x.to(place, copy=True).requires_grad_(i < 2) for i, x in enumerate(features)]
        boxes, index, levels = (x.to(place) for x in (BOXES[:5], torch.tensor([0, 1, 0, 0, 1]), LEVELS))
        pooled = pool_levels(roi_align, maps, boxes, index, levels, [1.0, 0.5], RoIAlignOptions(2))
        assert ("_RoIAlign" in pooled.grad_fn.name()) == suits
        assert pooled.is_contiguous(memory_format=torch.channels_last)
        (pooled * torch.arange(pooled.numel(), device=place).view_as(pooled)).sum().backward()
        results.append([pooled.detach().cpu(), *(x.grad.cpu() for x in maps[:2])])
    for result, expected in zip(*results, strict=True):
        torch.testing.assert_close(result, expected)


def test_kernels_are_taken_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROI_ALIGN, "triton", lambda *args: "kernels")
    arguments = torch.rand(1, 3, 4, 4), torch.ones(1, 4), torch.zeros(1, dtype=torch.int64)
    assert roi_align(*arguments, RoIAlignOptions(2)).shape == (1, 3, 2, 2)
    monkeypatch.setattr(roi_align_module, "can_use_triton", lambda features: True)
    assert roi_align(*arguments, RoIAlignOptions(2)) == "kernels"
    assert roi_align(*arguments, RoIAlignOptions(2, reduce="max")).shape == (1, 3, 2, 2)


def pyramid_case(dtype: torch.dtype) -> tuple[Any, ...]:
    """Four levels of 256 channels, 400 boxes on two images, and what the plain way makes of them in float64."""
    torch.manual_seed(0)
    sides, scales = [(64, 96), (32, 48), (16, 24), (8, 12)], [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    features = [torch.rand(2, 256, *side).to(dtype) for side in sides]
    corner = torch.rand(400, 2) * torch.tensor([384.0, 256.0])
    boxes = clip_boxes(torch.cat([corner - 20, corner + torch.rand(400, 2) * 200], dim=1), (256, 384))
    index, levels = torch.arange(400) % 2, torch.randint(0, 4, (400,))
    return features, boxes, index, levels, scales


def pyramid_results(
    features: list[Tensor], boxes: Tensor, index: Tensor, levels: Tensor, scales: list[float], options: RoIAlignOptions
) -> list[Tensor]:
    maps = [x.clone().requires_grad_() for x in features]
    pooled = pool_levels(roi_align, maps, boxes, index, levels, scales, options)
    weights = torch.linspace(0, 1, pooled.numel(), dtype=torch.float64).view(pooled.shape)
    pooled.backward(weights.to(pooled.device, pooled.dtype))
    return [pooled.detach(), *(x.grad for x in maps)]


@needs_gpu
@pytest.mark.parametrize("options", [RoIAlignOptions(7), RoIAlignOptions(14), RoIAlignOptions(7, sampling_ratio=0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 5e-5), (torch.float16, 2e-3), (torch.bfloat16, 1e-2)])
def test_a_pyramid_on_a_gpu(options: RoIAlignOptions, dtype: torch.dtype, tolerance: float) -> None:
    features, *rest = pyramid_case(dtype)
    expected = pyramid_results([x.double() for x in features], rest[0].double(), *rest[1:], options)
    features, rest = [x.cuda() for x in features], [x.cuda() if isinstance(x, torch.Tensor) else x for x in rest]
    results, again = (pyramid_results(features, *rest, options) for _ in range(2))
    for result, repeated, exact in zip(results, again, expected, strict=True):
        assert result.dtype == dtype and torch.equal(result, repeated)  # to the bit, gradients too
        torch.testing.assert_close(result.cpu().double(), exact, rtol=tolerance, atol=tolerance)


@needs_gpu
def test_the_host_waits_for_nothing() -> None:
    features, *rest = pyramid_case(torch.bfloat16)
    features, rest = [x.cuda() for x in features], [x.cuda() if isinstance(x, torch.Tensor) else x for x in rest]
    maps = [x.requires_grad_() for x in features]
    before = torch.cuda.get_sync_debug_mode()
    try:
        for mode in ("default", "error"):  # the first round compiles
            torch.cuda.set_sync_debug_mode(mode)
            pooled = pool_levels(roi_align, maps, *rest, RoIAlignOptions(7))
            pooled.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert "_RoIAlign" in pooled.grad_fn.name()


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_gradient_by_finite_differences(reduce: str) -> None:
    torch.manual_seed(0)
    features = torch.rand(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    options = RoIAlignOptions(2, sampling_ratio=2, reduce=reduce)
    index = torch.zeros(3, dtype=torch.int64)
    assert torch.autograd.gradcheck(lambda f: roi_align(f, BOXES[:3].double(), index, options), features)


@pytest.mark.parametrize("way", ["bags", "triton"])
def test_bins_that_are_not_square(way: str, device: str) -> None:
    """Two rows and three columns: values and gradients as the reference's."""
    torch.manual_seed(0)
    features = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    for sampling_ratio in (0, 2):
        options = RoIAlignOptions((2, 3), 0.5, sampling_ratio)
        case = options, BOXES.double() * 2, torch.tensor([0, 1, 1, 0, 0, 1]), features
        results = pooled_and_gradient(way, device, *case)
        assert results[0].shape == (6, 3, 2, 3)
        for result, expected in zip(results, pooled_and_gradient("reference", "cpu", *case), strict=True):
            torch.testing.assert_close(result, expected)
    x = torch.arange(8.0).expand(8, 8)
    arguments = x[None, None], torch.tensor([[1.0, 2, 7, 6]]), torch.tensor([0])
    pooled = ROI_ALIGN[way](*(a.to(device) for a in arguments), RoIAlignOptions((1, 3)))
    assert pooled.tolist() == [[[[1.5, 3.5, 5.5]]]]  # bins of 2 pixels, their centres at x = 2, 4, 6


def test_equal_to_the_golden_values(shared: Path) -> None:
    folder = shared / "golden/ops"
    golden = load_file(folder / "roi_align.safetensors")
    runs = json.loads((folder / "ops.json").read_text())["files"]["roi_align"]["runs"]
    aligned_runs = [r for r in runs if r["op"] == "roi_align"]
    assert len(aligned_runs) > 8 and any(len(set(run["output_size"])) == 2 for run in aligned_runs)
    for run in aligned_runs:
        rois = golden[run["rois"]]
        size, scale = tuple(run["output_size"]), run["spatial_scale"]
        options = RoIAlignOptions(size, scale, run["sampling_ratio"], run["aligned"])
        pooled = roi_align(golden["input"], rois[:, 1:], rois[:, 0].long(), options)
        torch.testing.assert_close(pooled, golden[run["key"]], atol=1e-5, rtol=1e-5)


def test_the_levels_of_a_pyramid_one_after_the_other() -> None:
    torch.manual_seed(0)
    features = [torch.rand(2, 3, 12, 12), torch.rand(2, 3, 6, 6)]
    arguments = features, BOXES[:5], torch.tensor([0, 1, 0, 0, 1]), LEVELS, [1.0, 0.5], RoIAlignOptions(2)
    expected = pool_levels(roi_align, *arguments)
    with POOL_LEVELS.only("reference"):
        torch.testing.assert_close(pool_levels(roi_align, *arguments), expected)
