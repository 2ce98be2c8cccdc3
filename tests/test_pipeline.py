from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from maskrcnn.pipeline import DEPTH, Behind, ahead, followed, mapped


def test_the_same_items_in_the_same_order() -> None:
    assert list(ahead(range(100))) == list(range(100))
    assert list(ahead([])) == []


def test_only_a_few_items_are_made_ahead() -> None:
    made: list[int] = []
    stream = ahead(made.append(i) or i for i in range(1000))  # type: ignore[func-returns-value]
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    stream.close()  # type: ignore[attr-defined]
    assert made == list(range(len(made))) and 3 <= len(made) <= 3 + DEPTH


def test_items_are_made_while_another_one_is_used() -> None:
    """Without a thread, the second item would wait for the first one's user for ever."""
    second_made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second_made.set()
        yield 2

    for item in ahead(items()):
        assert item == 2 or second_made.wait(60)


def test_each_item_knows_whether_another_follows() -> None:
    assert list(followed("abc")) == [("a", True), ("b", True), ("c", False)]
    assert list(followed("a")) == [("a", False)] and list(followed("")) == []


def test_several_threads_keep_the_order_and_stay_near() -> None:
    begun: list[int] = []
    all_begun = threading.Barrier(4, timeout=60)

    def work(item: int) -> int:
        begun.append(item)
        if item < 4:
            all_begun.wait()  # four at a time, or it breaks
        return item * item

    stream = mapped(work, iter(range(100)), threads=4)
    assert next(stream) == 0 and len(begun) <= 5
    assert list(stream) == [i * i for i in range(1, 100)]
    assert list(mapped(work, [], threads=4)) == []
    failing = mapped(lambda item: 1 // item, [1, 0, 1], threads=2)
    assert next(failing) == 1
    with pytest.raises(ZeroDivisionError):
        next(failing)


def test_an_error_comes_up_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="the second"):
        next(stream)


def test_calls_are_carried_out_in_order_before_the_context_ends() -> None:
    done: list[int] = []
    with Behind() as behind:
        for number in range(50):
            behind.call(done.append, number)
    assert done == list(range(50))


def test_a_call_does_not_wait_for_the_one_before() -> None:
    released = threading.Event()
    with Behind() as behind:
        behind.call(released.wait, 60)
        released.set()


@pytest.mark.parametrize("further_calls", [0, 10])
def test_a_failed_call_is_not_lost(further_calls: int) -> None:
    def fail() -> None:
        raise OSError("disk full")

    def work() -> None:
        with Behind() as behind:
            behind.call(fail)
            for _ in range(further_calls):
                behind.call(list)

    with pytest.raises(OSError, match="disk full"):
        work()


def test_an_error_in_the_context_drops_what_has_not_begun() -> None:
    started, released, done = threading.Event(), threading.Event(), []

    def first() -> None:
        started.set()
        released.wait(60)

    def work() -> None:
        with Behind() as behind:
            behind.call(first)
            behind.call(done.append, "second")
            started.wait(60)
            threading.Timer(0.05, released.set).start()
            raise KeyError("elsewhere")

    with pytest.raises(KeyError, match="elsewhere"):
        work()
    assert done == []
