import json

import pytest
import torch
from safetensors.torch import load_file

from maskrcnn.ops.roi_align import ROI_ALIGN, RoIAlignOptions, roi_align

WAYS = pytest.mark.parametrize("way", ROI_ALIGN)
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
def test_a_ramp_is_sampled_exactly(way):
    """On f(y, x) = 10 y + x bilinear sampling is exact, so a bin's mean is the value at its centre."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    options = RoIAlignOptions(2, sampling_ratio=2, aligned=True)
    pooled = ROI_ALIGN[way]((10 * y + x)[None, None], torch.tensor([[1.0, 2, 5, 6]]), torch.tensor([0]), options)
    # bin centres at x = 2, 4 and y = 3, 5, in pixels; the centre of cell i lies at i + 0.5
    assert pooled.tolist() == [[[[25 + 1.5, 25 + 3.5], [45 + 1.5, 45 + 3.5]]]]


@WAYS
def test_max_takes_the_largest_sample(way):
    feature = torch.zeros(1, 1, 4, 4)
    feature[0, 0, 1, 2] = 8.0
    options = RoIAlignOptions(1, sampling_ratio=4, aligned=True, reduce="max")
    pooled = ROI_ALIGN[way](feature, torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([0]), options)
    assert pooled.item() == 8.0


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
def test_ways_agree_with_their_gradients(generator, sampling_ratio, aligned, reduce):
    options = RoIAlignOptions(3, 0.5, sampling_ratio, aligned, reduce)
    image_index = torch.tensor([0, 1, 1, 0, 0, 1])
    results = []
    for way in ROI_ALIGN.values():
        torch.manual_seed(0)
        features = torch.rand(2, 3, 7, 9, dtype=torch.float64, requires_grad=True)
        pooled = way(features, BOXES.double() * 2, image_index, options)
        (pooled * torch.linspace(0, 1, pooled.numel()).view_as(pooled)).sum().backward()
        results.append((pooled.detach(), features.grad))
    for pooled, gradient in results[1:]:
        torch.testing.assert_close(pooled, results[0][0])
        torch.testing.assert_close(gradient, results[0][1])


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_gradient_by_finite_differences(reduce):
    torch.manual_seed(0)
    features = torch.rand(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    options = RoIAlignOptions(2, sampling_ratio=2, reduce=reduce)
    index = torch.zeros(3, dtype=torch.int64)
    assert torch.autograd.gradcheck(lambda f: roi_align(f, BOXES[:3].double(), index, options), features)


def test_equal_to_the_golden_values(shared):
    folder = shared / "golden/ops"
    golden = load_file(folder / "roi_align.safetensors")
    runs = json.loads((folder / "ops.json").read_text())["files"]["roi_align"]["runs"]
    square = [r for r in runs if r["op"] == "roi_align" and len(set(r["output_size"])) == 1]
    assert len(square) > 8
    for run in square:
        rois = golden[run["rois"]]
        options = RoIAlignOptions(run["output_size"][0], run["spatial_scale"], run["sampling_ratio"], run["aligned"])
        pooled = roi_align(golden["input"], rois[:, 1:], rois[:, 0].long(), options)
        torch.testing.assert_close(pooled, golden[run["key"]], atol=1e-5, rtol=1e-5)
