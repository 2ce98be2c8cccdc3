from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from maskrcnn.ops import keypoints as module
from maskrcnn.ops.keypoints import DECODE, decode_keypoints, encode_keypoints, keypoint_loss

BOX = torch.tensor([[10.0, 20.0, 18.0, 36.0]])  # 8 wide, 16 high


def encoded(x: float, y: float, visibility: int = 2, box: Tensor = BOX, size: int = 4) -> tuple[int, int] | None:
    cells, valid = encode_keypoints(torch.tensor([[[x, y, visibility]]], dtype=torch.float32), box, (size, size))
    return divmod(int(cells), size)[::-1] if bool(valid) else None


# --- encode -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "cell"),
    [
        ((10, 20), (0, 0)),
        ((11.9, 23.9), (0, 0)),
        ((12, 24), (1, 1)),
        ((17.9, 20), (3, 0)),
        ((18, 36), (3, 3)),  # on the right and bottom edge: the last cell
        ((18, 20), (3, 0)),
        ((18.001, 20), None),
        ((9.999, 20), None),
        ((10, 36.01), None),
        ((10, 19.9), None),
        ((float("nan"), 20), None),
    ],
)
def test_cells_by_hand(point: tuple[float, float], cell: tuple[int, int] | None) -> None:
    assert encoded(*point) == cell


def test_rows_and_columns_by_hand() -> None:
    """A box 8 wide and 16 high in 2 rows and 4 columns: cells of 2 x 8 pixels."""
    box = torch.tensor([[10.0, 20, 18, 36]])
    points = torch.tensor([[[17.9, 20.0, 2], [10.0, 28.0, 2], [18.0, 36.0, 2], [18.1, 36.0, 2]]])
    cells, valid = encode_keypoints(points, box, (2, 4))
    assert cells.tolist() == [[3, 4, 7, 0]] and valid.tolist() == [[True, True, True, False]]


@pytest.mark.parametrize(("visibility", "counts"), [(0, False), (1, True), (2, True)])
def test_hidden_keypoints_count_and_unlabelled_ones_do_not(visibility: int, counts: bool) -> None:
    assert (encoded(12, 24, visibility) is not None) == counts


def test_empty_boxes_have_no_cells() -> None:
    for box in ([10.0, 20, 10, 36], [10.0, 20, 18, 20], [10.0, 20, 10, 20]):
        assert encoded(12, 24, box=torch.tensor([box])) is None


@pytest.mark.parametrize("library", ["detectron2", "torchvision"])
def test_cells_equal_the_golden_ones(shared: Path, library: str) -> None:
    golden = load_file(shared / "golden/ops/crops_keypoints.safetensors")
    cells, valid = encode_keypoints(golden["gt_keypoints"], golden["keypoint_boxes"], (56, 56))
    assert torch.equal(valid.long(), golden[f"{library}.heatmap_valid"])
    assert torch.equal(cells, golden[f"{library}.heatmap_index"])
    assert 0 < valid.sum() < valid.numel()


# --- loss -------------------------------------------------------------------------------------------------------


def test_loss_by_hand() -> None:
    """Two visible keypoints; logits that give their cells the probabilities 1/4 and 2/5."""
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, 1, 1, 0] = torch.tensor(2.0).log()
    cells, valid = torch.tensor([[3, 2, 0]]), torch.tensor([[True, True, False]])
    expected = -(torch.tensor(1 / 4).log() + torch.tensor(2 / 5).log()) / 2
    torch.testing.assert_close(keypoint_loss(logits, cells, valid), expected)


def test_loss_without_a_visible_keypoint_is_zero_with_a_gradient() -> None:
    for count in (0, 2):
        logits = torch.randn(count, 3, 4, 4, requires_grad=True)
        cells = torch.zeros(count, 3, dtype=torch.int64)
        loss = keypoint_loss(logits, cells, cells > 0)
        loss.backward()
        assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_gradient_of_the_loss() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    cells, valid = torch.randint(16, (2, 3)), torch.tensor([[True, False, True], [False, False, True]])
    assert torch.autograd.gradcheck(lambda maps: keypoint_loss(maps, cells, valid), logits)


# --- decode -----------------------------------------------------------------------------------------------------


def one_hot(x: int, y: int, size: int = 56, height: float = 20.0) -> Tensor:
    maps = torch.zeros(1, 1, size, size)
    maps[0, 0, y, x] = height
    return maps


def test_peak_lies_at_the_centre_of_its_cell() -> None:
    """A box as large as the map: its pixels are the cells."""
    for x, y in ((0, 0), (55, 55), (7, 31)):
        point = decode_keypoints(one_hot(x, y), torch.tensor([[100.0, 200.0, 156.0, 256.0]]))[0, 0]
        assert point[:2].tolist() == [100 + x + 0.5, 200 + y + 0.5]
        assert float(point[2]) == pytest.approx(1.0, abs=1e-3)


def test_fractions_of_a_pixel_are_scaled_away() -> None:
    """A box 55.2 pixels wide is searched with 56 pixels, each 55.2 / 56 wide."""
    point = decode_keypoints(one_hot(10, 20), torch.tensor([[0.3, 0.0, 55.5, 56.0]]))[0, 0]
    torch.testing.assert_close(point[:2], torch.tensor([0.3 + 10.5 * 55.2 / 56, 20.5]))


def test_boxes_below_a_pixel_count_as_one() -> None:
    point = decode_keypoints(one_hot(50, 50), torch.tensor([[5.0, 6.0, 5.25, 6.0]]))[0, 0]
    assert point[:2].tolist() == [5.5, 6.5]


def test_enlarging_finds_places_between_cells() -> None:
    """Two equal neighbours: the bicubic peak lies between them."""
    maps = one_hot(10, 20)
    maps[0, 0, 20, 11] = 20.0
    point = decode_keypoints(maps, torch.tensor([[0.0, 0.0, 560.0, 560.0]]))[0, 0]
    assert point[:2].tolist() == pytest.approx([110, 205], abs=1)


def test_scores_of_both_rules() -> None:
    maps = torch.zeros(1, 1, 56, 56)
    maps[0, 0, 3, 4] = torch.tensor(9.0 * (56**2 - 1)).log()  # probability 0.9
    box = torch.tensor([[0.0, 0.0, 56.0, 56.0]])
    assert float(decode_keypoints(maps, box, "detectron2")[0, 0, 2]) == pytest.approx(0.9, abs=1e-5)
    assert float(decode_keypoints(maps, box, "torchvision")[0, 0, 2]) == pytest.approx(float(maps.max()), abs=1e-5)


def test_points_equal_the_golden_ones(shared: Path) -> None:
    golden = load_file(shared / "golden/ops/crops_keypoints.safetensors")
    maps, boxes = golden["heatmaps"], golden["keypoint_boxes"]
    theirs = golden["detectron2.keypoints_xy_logit_score"]
    ours = decode_keypoints(maps, boxes, "detectron2")
    torch.testing.assert_close(ours, theirs[..., [0, 1, 3]], atol=1e-4, rtol=1e-5)
    ours = decode_keypoints(maps, boxes, "torchvision")
    torch.testing.assert_close(ours[..., :2], golden["torchvision.keypoints_xy_v"][..., :2], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(ours[..., 2], golden["torchvision.logits"], atol=1e-4, rtol=1e-5)


def awkward_boxes() -> Tensor:
    return torch.tensor(
        [
            [0.0, 0.0, 30.2, 61.7],
            [-20.0, 5.5, 10.0, 200.1],  # reaches out of the image
            [3.0, 4.0, 3.5, 4.1],
            [3.0, 4.0, 3.0, 90.0],  # no width
            [100.0, 50.0, 133.0, 127.9],
            [1.0, 1.0, 2.5, 150.0],
            [7.25, 9.5, 39.25, 73.5],
        ]
    )


@pytest.mark.parametrize("max_pixels", [module._MAX_PIXELS, 5000, 1])
@pytest.mark.parametrize("size", [(56, 56), (7, 7), (4, 9), (1, 1)])
@pytest.mark.parametrize("count", [7, 1, 0])
def test_all_ways_agree(count: int, size: tuple[int, int], max_pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when memory is so short that maps go one by one."""
    monkeypatch.setattr(module, "_MAX_PIXELS", max_pixels)
    torch.manual_seed(0)
    maps, boxes = torch.randn(count, 5, *size) * 3, awkward_boxes()[:count]
    points, peaks = DECODE["reference"](maps, boxes)
    assert points.shape == (count, 5, 2) and peaks.shape == (count, 5)
    for decode in DECODE.values():
        other_points, other_peaks = decode(maps, boxes)
        torch.testing.assert_close(other_peaks, peaks, atol=1e-4, rtol=1e-5)
        if size != (1, 1):  # a single cell gives maps that are level but for rounding
            torch.testing.assert_close(other_points, points, atol=1e-3, rtol=1e-5)


def test_peaks_below_zero_are_found() -> None:
    """Boxes of unlike sizes share one array; its padding must never win."""
    torch.manual_seed(0)
    maps, boxes = (
        torch.randn(4, 2, 8, 8) - 100,
        torch.tensor([[0.0, 0, 33, 40], [0, 0, 60, 33], [0, 0, 64, 64], [0, 0, 40, 50]]),
    )
    points, _ = DECODE["reference"](maps, boxes)
    torch.testing.assert_close(DECODE["separable"](maps, boxes)[0], points)
    assert (points < boxes[:, None, 2:]).all()


@pytest.mark.parametrize("size", [(56, 56), (56, 28)])
def test_encoding_finds_the_decoded_cell_again(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[10.0, 20.0, 66.0, 76.0], [3.0, 5.0, 115.0, 117.0]])
    keypoints = torch.rand(2, 9, 3) * (boxes[:, None, 2:] - boxes[:, None, :2])[..., [0, 1, 1]] + 5
    keypoints[..., :2] = boxes[:, None, :2] + (keypoints[..., :2] - 5)
    cells, valid = encode_keypoints(keypoints, boxes, size)
    assert valid.all()
    maps = torch.nn.functional.one_hot(cells, size[0] * size[1]).view(2, 9, *size) * 15.0
    again, _ = encode_keypoints(decode_keypoints(maps, boxes), boxes, size)
    assert torch.equal(again, cells)


def test_half_precision_maps_give_full_precision_points() -> None:
    maps = one_hot(10, 20).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        point = decode_keypoints(maps, torch.tensor([[1000.25, 2000.5, 1056.25, 2056.5]]))
    assert point.dtype == torch.float32 and point[0, 0, :2].tolist() == [1010.75, 2021.0]
