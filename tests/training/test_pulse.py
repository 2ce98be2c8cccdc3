from __future__ import annotations

import time

import pytest
import torch.distributed as dist

from maskrcnn.training import pulse
from maskrcnn.training.pulse import Beat, Pulse, blame

FINE = Beat(5, step=7, exchanges=40)


def beats(*last: Beat) -> dict[int, Beat]:
    return dict(enumerate(last))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([FINE, Beat(4, 6, 39), Beat(6, 7, 40)], "rank 1 of 3 has ended or is stopped, in step 6"),
        ([FINE, Beat(4, 6, 39), Beat(4, 6, 39)], "rank 1 of 3 (and 1 more) has ended or is stopped, in step 6"),
        ([FINE, Beat(9, 6, 39), Beat(9, 7, 40)], "rank 1 of 3 is stuck, in step 6"),
        ([FINE, Beat(9, 6, 30, True), Beat(9, 7, 40)], "rank 1 of 3 has ended with a message of its own, in step 6"),
        # the third has noticed it too and left at once, with its last word before the first look
        ([FINE, Beat(4, 0, 2), Beat(4, 7, 40, True)], "rank 1 of 3 has ended or is stopped, before the first step"),
        ([FINE, Beat(9, 7, 40), Beat(9, 7, 40)], "another rank of 3 does not answer"),
    ],
)
def test_who_is_named(after: list[Beat], expected: str) -> None:
    silent = {Beat(4, 6, 39), Beat(4, 0, 2), Beat(4, 7, 40, True)}
    before = beats(*(beat if beat in silent else Beat(beat.count - 3, 5, 20) for beat in after))
    assert blame(before, beats(*after), 0, 3, 40) == expected


def test_a_rank_that_never_beat_is_dead() -> None:
    assert blame({0: FINE}, {0: FINE}, 0, 2, 40) == "rank 1 of 2 has ended or is stopped, before the first step"


def test_a_store_that_does_not_answer_was_that_of_rank_0() -> None:
    class Gone(dist.HashStore):
        def check(self, keys: list[str]) -> bool:
            raise RuntimeError("connection reset")

    own = Pulse(Gone(), 1, 2)
    own.step = 3
    assert own.verdict() == "rank 0 of 2, which keeps the list of ranks, has ended or is stopped, in step 3"
    own.stop()


def test_beats_go_through_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "_BEAT", 0.02)
    monkeypatch.setattr(pulse, "_SILENCE", 0.4)
    store = dist.HashStore()
    first, second = (Pulse(store, rank, 2) for rank in (0, 1))
    first.exchanges = 3
    second.begin(8)
    time.sleep(0.1)
    assert first.verdict() == "rank 1 of 2 is stuck, in step 8"
    second.stop()
    assert first.verdict() == "rank 1 of 2 has ended with a message of its own, in step 8"
    first.stop()
    assert not any(own._thread.is_alive() for own in (first, second))


def test_a_step_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "_BEAT", 60.0)
    store = dist.HashStore()
    own = Pulse(store, 0, 1)
    for step in (1, 2):
        own.begin(step)
        deadline = time.monotonic() + 30
        while own._read().get(0, Beat()).step != step:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    own.stop()
    assert own._read()[0].has_left
