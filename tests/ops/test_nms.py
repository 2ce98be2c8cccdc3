from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from maskrcnn.ops import nms as nms_module
from maskrcnn.ops.nms import NMS, NMS_PADDED, NO_LIMIT, batched_nms, nms, nms_blocks, nms_padded, nms_reference

WAYS = pytest.mark.parametrize("way", NMS)
# Two empty boxes have the IoU 0 / 0, of which NumPy warns in Triton's interpreter.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def random_boxes(count: int, generator: torch.Generator, side: int = 60) -> Tensor:
    corner = torch.rand(count, 2, generator=generator) * side
    return torch.cat([corner, corner + 1 + torch.rand(count, 2, generator=generator) * 30], dim=1)


def run(
    way: str, device: str, boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, limit: int = NO_LIMIT
) -> list[int]:
    return NMS[way](boxes.to(device), scores.to(device), labels.to(device), threshold, limit).tolist()


def cut_small(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Many blocks, or words and bands, for few boxes."""
    monkeypatch.setattr(nms_module, "_BLOCK", 16)
    monkeypatch.setattr(nms_module, "_MANY_KEPT", 24)
    if way == "triton":
        from maskrcnn.ops.triton import nms as triton_nms

        for name, value in {"WORD": 16, "BAND": 32, "WORDS_AT_ONCE": 2}.items():
            monkeypatch.setattr(triton_nms, name, value)


@WAYS
def test_by_hand(way: str, device: str) -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [20, 20, 30, 30]])
    scores, labels = torch.tensor([0.5, 0.9, 0.9, 0.1]), torch.tensor([0, 0, 1, 0])
    assert run(way, device, boxes, scores, labels * 0, 0.5) == [1, 3]
    assert run(way, device, boxes, scores, labels, 0.5) == [1, 2, 3]
    assert run(way, device, boxes, scores, labels, 0.9) == [1, 2, 0, 3]


@WAYS
def test_an_iou_equal_to_the_threshold_is_kept(way: str, device: str) -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])  # IoU exactly 0.5
    args = boxes, torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64)
    assert run(way, device, *args, 0.5) == [0, 1]
    assert run(way, device, *args, 0.49) == [0]


@WAYS
def test_a_dropped_box_suppresses_nothing(way: str, device: str) -> None:
    chain = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [12, 0, 22, 10]])
    args = chain, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4, dtype=torch.int64)
    assert run(way, device, *args, 0.4) == [0, 2]


@WAYS
def test_boxes_without_an_area_overlap_nothing(way: str, device: str) -> None:
    nan, inf = math.nan, math.inf
    usual, empty, reversed_box = [0.0, 0, 9, 9], [1, 1, 1, 1], [8, 8, 2, 2]
    boxes = torch.tensor([usual, empty, empty, reversed_box, reversed_box, [nan, 0, 9, 9], [0, 0, inf, 9], usual])
    args = boxes, torch.linspace(1, 0.1, 8), torch.zeros(8, dtype=torch.int64)
    assert run(way, device, *args, 0.0) == [0, 1, 2, 3, 4, 5, 6]


@WAYS
@pytest.mark.parametrize("count", [0, 1])
def test_few_boxes(way: str, device: str, count: int) -> None:
    args = torch.ones(count, 4), torch.zeros(count), torch.zeros(count, dtype=torch.int64)
    assert run(way, device, *args, 0.5, 9) == list(range(count))


@pytest.mark.parametrize("way", [way for way in NMS if way != "reference"])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7])
def test_ways_equal_the_reference(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator, way: str, device: str, threshold: float, ties: bool
) -> None:
    cut_small(monkeypatch, way)
    for count in [40] if way == "triton" else [120] * 5:  # Triton's interpreter is slow
        boxes = random_boxes(count, generator)
        scores = torch.rand(count, generator=generator)
        scores = (scores * 10).round() if ties else scores
        labels = torch.randint(0, 3, (count,), generator=generator)
        expected = nms_reference(boxes, scores, labels, threshold, NO_LIMIT).tolist()
        assert run(way, device, boxes, scores, labels, threshold) == expected
        assert run(way, device, boxes, scores, labels, threshold, 9) == expected[:9]


@pytest.mark.parametrize("way", ["triton"])
def test_words_of_full_size(generator: torch.Generator, way: str, device: str) -> None:
    args = (
        random_boxes(70, generator),
        torch.rand(70, generator=generator),
        torch.randint(0, 2, (70,), generator=generator),
    )
    assert run(way, device, *args, 0.3) == nms_reference(*args, 0.3, NO_LIMIT).tolist()


@pytest.mark.parametrize("way", NMS_PADDED)
@pytest.mark.parametrize("limit", [3, NO_LIMIT])
def test_images_of_unlike_numbers_of_boxes_at_once(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator, way: str, device: str, limit: int
) -> None:
    cut_small(monkeypatch, way)
    shape = 3, 20
    boxes = random_boxes(60, generator, side=9).view(*shape, 4)
    scores, labels = torch.rand(shape, generator=generator), torch.randint(0, 3, shape, generator=generator)
    labels[1, ::2] = -1  # no boxes there
    labels[2] = -1
    kept, counts = NMS_PADDED[way](boxes.to(device), scores.to(device), labels.to(device), 0.3, limit)
    assert kept.shape == (3, min(limit, 20)) and (kept >= 0).all() and (kept < 20).all()
    for i in range(3):
        present = (labels[i] >= 0).nonzero()[:, 0]
        best = nms_reference(boxes[i, present], scores[i, present], labels[i, present], 0.3, limit)
        assert kept[i, : counts[i]].tolist() == present[best].tolist()


@pytest.mark.parametrize("way", NMS_PADDED)
def test_no_images(way: str, device: str) -> None:
    boxes, scores = torch.zeros(0, 5, 4, device=device), torch.zeros(0, 5, device=device)
    kept, counts = NMS_PADDED[way](boxes, scores, scores.long(), 0.5, 3)
    assert kept.shape == (0, 3) and counts.shape == (0,)


def test_kernels_are_taken_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    monkeypatch.setattr(nms_module, "can_use_triton", lambda boxes: True)
    monkeypatch.setitem(NMS, "triton", lambda *args: chosen.append("boxes"))
    monkeypatch.setitem(NMS_PADDED, "triton", lambda *args: chosen.append("images"))
    boxes, scores, labels = torch.zeros(1, 4), torch.zeros(1), torch.zeros(1, dtype=torch.int64)
    assert nms(boxes.double(), scores, 0.5).tolist() == [0] and chosen == []  # the kernels work in float32
    nms(boxes, scores, 0.5)
    nms_padded(boxes[None], scores[None], labels[None], 0.5)
    assert chosen == ["boxes", "images"]


@needs_gpu
@pytest.mark.parametrize("count", [1000, 9000])
def test_many_boxes_on_a_gpu(generator: torch.Generator, count: int) -> None:
    boxes, labels = random_boxes(count, generator, side=600), torch.randint(0, 5, (count,), generator=generator)
    scores = torch.rand(count, generator=generator).mul(500).round()
    for threshold in (0.3, 0.7):
        expected = nms_blocks(boxes, scores, labels, threshold, NO_LIMIT).tolist()
        assert run("triton", "cuda", boxes, scores, labels, threshold) == expected
        assert run("triton", "cuda", boxes, scores, labels, threshold, 100) == expected[:100]


@needs_gpu
def test_the_host_waits_for_nothing(generator: torch.Generator) -> None:
    boxes, scores = random_boxes(5000, generator).cuda().view(2, -1, 4), torch.rand(2, 2500, device="cuda")
    nms_padded(boxes, scores, scores.long(), 0.5, 100)  # compiles
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        kept, counts = nms_padded(boxes, scores, scores.long(), 0.5, 100)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert kept[0, : counts[0]].tolist() == nms(boxes[0], scores[0], 0.5, 100).tolist()


def test_equal_to_the_golden_values(shared: Path) -> None:
    golden = load_file(shared / "golden/ops/nms.safetensors", "cuda" if torch.cuda.is_available() else "cpu")
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
