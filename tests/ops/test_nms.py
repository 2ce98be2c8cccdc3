import pytest
import torch
from safetensors.torch import load_file

from maskrcnn.ops import nms as nms_module
from maskrcnn.ops.nms import NMS, NO_LIMIT, batched_nms, nms, nms_reference

WAYS = pytest.mark.parametrize("way", NMS)


def random_boxes(count, generator):
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat([corner, corner + 1 + torch.rand(count, 2, generator=generator) * 30], dim=1)


@WAYS
def test_by_hand(way):
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [20, 20, 30, 30]])
    scores, labels = torch.tensor([0.5, 0.9, 0.9, 0.1]), torch.tensor([0, 0, 1, 0])
    assert NMS[way](boxes, scores, labels * 0, 0.5, NO_LIMIT).tolist() == [1, 3]
    assert NMS[way](boxes, scores, labels, 0.5, NO_LIMIT).tolist() == [1, 2, 3]
    assert NMS[way](boxes, scores, labels, 0.9, NO_LIMIT).tolist() == [1, 2, 0, 3]


@WAYS
def test_an_iou_equal_to_the_threshold_is_kept(way):
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])  # IoU exactly 0.5
    args = boxes, torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64)
    assert NMS[way](*args, 0.5, NO_LIMIT).tolist() == [0, 1]
    assert NMS[way](*args, 0.49, NO_LIMIT).tolist() == [0]


@WAYS
def test_a_dropped_box_suppresses_nothing(way):
    chain = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [12, 0, 22, 10]])
    args = chain, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4, dtype=torch.int64)
    assert NMS[way](*args, 0.4, NO_LIMIT).tolist() == [0, 2]


@WAYS
def test_no_boxes(way):
    assert NMS[way](torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5, 9).tolist() == []


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7])
def test_blocks_equal_the_reference(monkeypatch, generator, threshold, ties):
    monkeypatch.setattr(nms_module, "_BLOCK", 16)  # many blocks for few boxes
    for _ in range(5):
        boxes = random_boxes(120, generator)
        scores = torch.rand(120, generator=generator)
        scores = (scores * 10).round() if ties else scores
        labels = torch.randint(0, 3, (120,), generator=generator)
        expected = nms_reference(boxes, scores, labels, threshold, NO_LIMIT)
        assert torch.equal(batched_nms(boxes, scores, labels, threshold), expected)
        assert torch.equal(batched_nms(boxes, scores, labels, threshold, 9), expected[:9])


def test_equal_to_the_golden_values(shared):
    golden = load_file(shared / "golden/ops/nms.safetensors")
    boxes, labels = golden["boxes"], golden["labels"]
    for kind in ("distinct", "with_ties"):
        for threshold in (0.3, 0.5, 0.7):
            kept = nms(boxes, golden[f"scores_{kind}"], threshold)
            assert torch.equal(kept, golden[f"nms.scores_{kind}.{threshold}"])
    for count in (900, 2000):
        for threshold in (0.3, 0.5, 0.7):
            scores = golden["scores_distinct"][:count]
            kept = batched_nms(boxes[:count], scores, labels[:count], threshold)
            assert torch.equal(kept, golden[f"batched_nms.{count}.{threshold}"])
    assert torch.equal(nms(golden["exact.boxes"], golden["exact.scores"], 0.5), golden["exact.keep.0.5"])
