from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from maskrcnn.ops.boxes import (
    box_area,
    box_ioa,
    box_iou,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    is_larger_than,
)


def test_area_and_iou_by_hand() -> None:
    a = torch.tensor([[0.0, 0, 4, 2], [5, 5, 5, 9], [3, 3, 1, 1]])
    b = torch.tensor([[2.0, 0, 6, 2], [0, 0, 4, 2], [10, 10, 12, 12]])
    assert box_area(a).tolist() == [8, 0, 0]
    torch.testing.assert_close(box_iou(a, b), torch.tensor([[4 / 12, 1, 0], [0, 0, 0], [0, 0, 0]]))
    torch.testing.assert_close(box_ioa(a, b), torch.tensor([[0.5, 1, 0], [0, 0, 0], [0, 0, 0]]))


def test_empty_boxes_have_shapes() -> None:
    none, one = torch.zeros(0, 4), torch.tensor([[0.0, 0, 1, 1]])
    assert box_iou(none, one).shape == (0, 1)
    assert encode_boxes(none, none).shape == (0, 4)
    assert decode_boxes(none, none).shape == (0, 4)


def test_clip_cuts_at_the_frame() -> None:
    boxes = torch.tensor([[-3.0, -1, 50, 70], [2, 3, 4, 5]])
    assert clip_boxes(boxes, (60, 40)).tolist() == [[0, 0, 40, 60], [2, 3, 4, 5]]


def test_is_larger_than_wants_both_sides_and_never_takes_empty_boxes() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 0.5], [1, 1, 1, 1], [3, 0, 1, 9]])
    assert is_larger_than(boxes, 1.0).tolist() == [True, False, False, False]
    assert is_larger_than(boxes, 0.0).tolist() == [True, True, False, False]


def test_encode_by_hand() -> None:
    anchor, box = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 25, 20]])
    expected = torch.tensor([[1.0, 0, math.log(2), 0]]) * torch.tensor([10.0, 10, 5, 5])
    torch.testing.assert_close(encode_boxes(box, anchor, (10, 10, 5, 5)), expected)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_decode_inverts_encode(weights: tuple[float, float, float, float], generator: torch.Generator) -> None:
    corner = torch.rand(50, 2, generator=generator) * 100
    references, boxes = (
        torch.cat([corner, corner + 1 + torch.rand(50, 2, generator=generator) * 40], dim=1) for _ in range(2)
    )
    torch.testing.assert_close(decode_boxes(encode_boxes(boxes, references, weights), references, weights), boxes)


def test_decode_limits_growth() -> None:
    wild = decode_boxes(torch.tensor([[0.0, 0, 1000, 1000]]), torch.tensor([[0.0, 0, 16, 16]]))
    torch.testing.assert_close(wild[0, 2:] - wild[0, :2], torch.tensor([1000.0, 1000.0]))


def test_equal_to_the_golden_values(shared: Path) -> None:
    golden = load_file(shared / "golden/ops/boxes.safetensors")
    source, target = golden["source"], golden["target"]
    deltas = golden["deltas12"].view(40, 3, 4)
    for kind, weights in (("rpn", (1.0, 1.0, 1.0, 1.0)), ("box", (10.0, 10.0, 5.0, 5.0))):
        for library in ("torchvision", "detectron2"):
            torch.testing.assert_close(encode_boxes(target, source, weights), golden[f"{library}.encode.{kind}"])
            expected = golden[f"{library}.decode.{kind}"].view(40, 3, 4)
            torch.testing.assert_close(decode_boxes(deltas, source[:, None], weights), expected)
    decoded = golden["detectron2.decode.box"].view(-1, 4)
    assert torch.equal(clip_boxes(decoded, (300, 400)), golden["detectron2.clip_300x400.box"])
    nms = load_file(shared / "golden/ops/nms.safetensors")
    torch.testing.assert_close(box_iou(nms["iou.a"], nms["iou.b"]), nms["iou"])
