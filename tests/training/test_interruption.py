from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from maskrcnn.training.interruption import Interrupted, Interruption


@pytest.fixture
def default_handlers() -> Iterator[None]:
    """As on a terminal: a shell's background jobs ignore Ctrl-C, and `nohup` SIGHUP."""
    wanted = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ignore(text: str) -> None:
    pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_only_remembered(number: signal.Signals, default_handlers: None) -> None:
    before = signal.getsignal(number)
    with Interruption(ignore) as interruption:
        interruption.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match=number.name) as caught:
            interruption.check()
        assert caught.value.signal == number
    assert signal.getsignal(number) is before


def test_it_is_answered_while_the_main_thread_is_elsewhere(default_handlers: None) -> None:
    """As in C code that lasts: the answer comes from another thread, once, and does not wait for a handler."""
    answers: list[tuple[str, str]] = []
    answered = threading.Event()

    def say(text: str) -> None:
        answers.append((threading.current_thread().name, text))
        answered.set()

    with Interruption(say):
        os.kill(os.getpid(), signal.SIGINT)
        assert answered.wait(10)
    ((thread, text),) = answers
    assert thread != threading.main_thread().name
    assert text.startswith("SIGINT: stopping after this step") and "a second signal stops at once" in text


def test_the_second_ctrl_c_ends_at_once(default_handlers: None) -> None:
    with pytest.raises(KeyboardInterrupt), Interruption(ignore):
        signal.raise_signal(signal.SIGINT)  # to this thread, at once: two sent to a process may arrive as one
        signal.raise_signal(signal.SIGINT)


def test_two_signals_during_one_call_of_c_end_it_too(default_handlers: None) -> None:
    """Python calls the handler once for both."""
    with pytest.raises(KeyboardInterrupt), Interruption(ignore) as interruption:
        interruption._count = 2  # the thread has heard both, and the handler has not run
        signal.raise_signal(signal.SIGINT)


def test_what_is_started_with_nohup_outlives_a_hangup(default_handlers: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption(ignore) as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
        interruption.check()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_nothing_is_left_behind() -> None:
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/dev/fd"))
    with Interruption(ignore):
        pass
    assert set(threading.enumerate()) == threads and len(os.listdir("/dev/fd")) == descriptors
    assert signal.set_wakeup_fd(-1) == -1


def test_outside_the_main_thread_it_stays_out_of_the_way() -> None:
    done: list[bool] = []

    def enter() -> None:
        with Interruption(ignore) as interruption:
            interruption.check()
            done.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert done == [True]
