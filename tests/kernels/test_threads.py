from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator

import pytest
import torch

from maskrcnn.kernels.threads import in_threads


@pytest.fixture(params=[1, 3], autouse=True)
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_piece_is_done_once() -> None:
    counts = torch.zeros(100, dtype=torch.int64)

    def work(piece: int) -> None:
        counts[piece] += 1

    in_threads(range(100), work)
    assert counts.tolist() == [1] * 100
    in_threads([], work)


def test_each_worker_has_one_core_and_everybody_else_as_many_as_before(num_threads: int) -> None:
    inside: set[int] = set()
    in_threads(range(8), lambda _: inside.add(torch.get_num_threads()))
    assert inside == {1}
    in_threads(range(1), lambda _: inside.add(torch.get_num_threads()))  # too few pieces: shared as usual
    assert inside == {1, num_threads}
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [num_threads] and torch.get_num_threads() == num_threads


def test_what_is_left_over_is_shared_as_usual(num_threads: int) -> None:
    """Seven pieces for three cores: two for each core, and one for all of them; of eight, the last two side by side."""
    seen: list[tuple[int, int]] = []
    in_threads(range(7), lambda piece: seen.append((piece, torch.get_num_threads())))
    assert sorted(seen[:6]) == [(piece, 1) for piece in range(6)] and seen[6:] == [(6, num_threads)]
    seen.clear()
    in_threads(range(8), lambda piece: seen.append((piece, torch.get_num_threads())))
    assert sorted(seen) == [(piece, 1) for piece in range(8)]


def test_no_gradients_and_inference_mode_as_outside() -> None:
    seen: set[tuple[bool, bool]] = set()

    def look(_: int) -> None:
        seen.add((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))

    in_threads(range(8), look)
    assert seen == {(False, False)}
    seen.clear()
    with torch.inference_mode():
        in_threads(range(8), look)
    assert seen == {(False, True)}


def test_an_error_comes_out() -> None:
    def fail(piece: int) -> None:
        if piece == 5:
            raise ValueError("piece 5")

    with pytest.raises(ValueError, match="piece 5"):
        in_threads(range(8), fail)


def _count_in_child(results: multiprocessing.Queue[int]) -> None:
    done: list[int] = []
    torch.set_num_threads(3)
    in_threads(range(20), done.append)
    results.put(len(done))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_works_in_a_forked_process() -> None:
    """The parent's threads do not exist there, so the child makes its own."""
    in_threads(range(8), lambda _: None)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_count_in_child, args=(results,))
    child.start()
    assert results.get(timeout=60) == 20
    child.join(timeout=60)
    assert child.exitcode == 0
