"""Recorded parts: when they are recorded, what is remembered, and that a replay is the same as the part itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.acceleration import cuda_graphs, for_prediction
from maskrcnn.acceleration.cuda_graphs import MAX_SIZES, Inputs, Replay, Replayed, can_replay, replay_dense_parts
from maskrcnn.build import build_model
from maskrcnn.presets import tiny

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class Recorder:
    """Records on the CPU as a CUDA graph does: in memory of its own, which every replay overwrites."""

    def __init__(self) -> None:
        self.recordings = 0
        self.replays = 0

    def __call__(self, compute: Replay, inputs: Inputs) -> Replay:
        self.recordings += 1
        assert isinstance(inputs, Tensor)
        own = inputs.clone()
        outputs = compute(own)

        def again(inputs: Inputs) -> Tensor:
            self.replays += 1
            assert isinstance(inputs, Tensor)
            own.copy_(inputs)
            outputs.copy_(compute(own))
            return outputs

        return again


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(cuda_graphs, "can_replay", lambda part, inputs: True)
    with torch.no_grad():
        yield Recorder()


def conv() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3).eval()


def test_a_size_is_recorded_when_it_comes_again(anywhere: Recorder) -> None:
    part, seen = conv(), []
    replayed = Replayed(part, anywhere)
    for side in (8, 9, 8, 8, 9, 8):
        x = torch.rand(1, 3, side, side)
        torch.testing.assert_close(replayed(x), part(x))
        seen.append((anywhere.recordings, anywhere.replays))
    assert seen == [(0, 0), (0, 0), (1, 1), (1, 2), (2, 3), (2, 4)]


def test_the_size_that_has_not_been_used_for_longest_is_forgotten(anywhere: Recorder) -> None:
    replayed = Replayed(conv(), anywhere)
    sides = list(range(5, 5 + MAX_SIZES + 1))
    for side in (*sides[:-1], sides[0], sides[-1]):  # the first one is used again, so the second one goes
        replayed(torch.rand(1, 3, side, side))
    remembered = [key[0][0][-1] for key in replayed.replays]  # type: ignore[index]
    assert remembered == [*sides[2:-1], sides[0], sides[-1]]


def test_other_types_weights_and_precisions_are_other_recordings(anywhere: Recorder) -> None:
    part = conv()
    replayed, x = Replayed(part, anywhere), torch.rand(1, 3, 8, 8)
    replayed(x)
    replayed(x.to(memory_format=torch.channels_last))
    part.weight.data = part.weight.data.clone()
    replayed(x)
    with torch.autocast("cpu", torch.bfloat16):
        replayed(x)
    assert len(replayed.replays) == 4 and anywhere.recordings == 0


def test_a_copy_has_recordings_of_its_own(anywhere: Recorder) -> None:
    part = conv()
    part.forward = Replayed(part, anywhere)
    x = torch.rand(1, 3, 8, 8)
    part(x), part(x)
    twin = copy.deepcopy(part)
    assert twin.forward.part is twin and not twin.forward.replays and len(part.forward.replays) == 1
    torch.testing.assert_close(twin(x), part(x))


def test_nothing_is_replayed_where_it_would_not_be_the_same() -> None:
    class OnGpu(Tensor):
        is_cuda = True  # type: ignore[assignment]

    part, x = nn.Sequential(conv()).eval(), torch.rand(1, 3, 8, 8)
    gpu = x.as_subclass(OnGpu)
    with torch.no_grad():
        assert can_replay(part, gpu) and can_replay(part, [gpu, gpu])
        assert not can_replay(part, x) and not can_replay(part, [gpu, x])
        assert not can_replay(part.train(), gpu)
        handle = part.eval()[0].register_forward_hook(lambda *_: None)
        assert not can_replay(part, gpu)  # hooks would see nothing
        handle.remove()
        assert can_replay(part, gpu)
        part[0].forward = part[0].forward
        assert not can_replay(part, gpu)  # nor would a meter
        del part[0].forward
    assert not can_replay(part, gpu)  # gradients


def test_a_prepared_model_on_the_cpu_goes_on_as_before() -> None:
    torch.manual_seed(0)
    model = for_prediction(build_model(tiny(), 2))
    image = torch.rand(3, 96, 128)
    (expected,) = model.predict([image], score_threshold=0.0)
    replay_dense_parts(model)
    for _ in range(3):
        (actual,) = model.predict([image], score_threshold=0.0)
        assert torch.equal(actual.boxes, expected.boxes)
    assert isinstance(model.backbone.forward, Replayed) and not model.backbone.forward.replays


@needs_gpu
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_graphs_on_a_gpu_find_the_same(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    model = for_prediction(build_model(tiny(), 2)).cuda()
    images = [torch.rand(3, 96, 128, device="cuda") for _ in range(4)]
    with torch.autocast("cuda", precision, enabled=precision != torch.float32, cache_enabled=False):
        expected = [model.predict([image], score_threshold=0.0)[0] for image in images]
        replay_dense_parts(model)
        actual = [model.predict([image], score_threshold=0.0)[0] for image in images]
    assert sum(r is not None for r in model.backbone.forward.replays.values()) == 1
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours.boxes, theirs.boxes, atol=0.01, rtol=0)
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-4, rtol=0)


@needs_gpu
def test_the_host_waits_once_for_a_batch_on_a_gpu(recwarn: pytest.WarningsRecorder) -> None:
    torch.manual_seed(0)
    model = for_prediction(build_model(tiny(), 2)).cuda()
    assert model.rpn is not None and model.box_head is not None
    batch = model.preprocess.prepare([torch.rand(3, 96, 128, device="cuda") for _ in range(2)])

    def detect() -> None:
        assert model.rpn is not None and model.box_head is not None
        features = model.backbone(batch.pixels)
        regions = model.rpn.select(model.rpn(features, batch.pixels.shape[-2:]), batch, model.rpn.test_limits)
        model.box_head.predict(model.roi_features(features), regions, batch)

    with torch.no_grad():
        detect()  # compiles kernels
        torch.cuda.set_sync_debug_mode("warn")
        recwarn.clear()
        detect()
        torch.cuda.set_sync_debug_mode("default")
    assert len(recwarn) == 1
