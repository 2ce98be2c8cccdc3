"""Ctrl-C, SIGTERM and SIGHUP as a request to stop at the next safe point."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))  # Windows has no SIGHUP


class Interrupted(Exception):
    """A signal came. The process should end with exit code 128 + its number.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.signal = number


class Interruption:
    """While entered, the first signal is only remembered, and answered at once; the second acts as it does elsewhere.

    Python runs a handler when the main thread is back from the C code it is in, which may be the whole of a backward
    pass. So a thread of its own hears of the signal, answers, and counts.

    Args:
        say: gets the answer, in that thread.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._signal: int | None = None
        self._count = 0
        self._before: dict[int, Any] = {}

    def check(self, highest: Callable[[int], int] = int) -> None:
        """Raise `Interrupted` if a signal has come; to be called where stopping loses nothing.

        Args:
            highest: of the signals of all processes that train together, 0 where none has come.
        """
        if number := highest(self._signal or 0):
            raise Interrupted(number)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            self._listen()
            for number in _SIGNALS:
                if number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN:
                    continue  # nohup
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()
        self._stop_listening()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        self._restore()
        if self._count > 1:  # two came while the main thread was in C code: this is their only call
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _listen(self) -> None:
        self._inbox, self._outbox = socket.socketpair()
        self._outbox.setblocking(False)
        self._outbox_before = signal.set_wakeup_fd(self._outbox.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._answer, name="signals", daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        """Every signal that Python handles arrives here as a byte; an empty message is the end."""
        while message := self._inbox.recv(1):
            self._count += message[0] in _SIGNALS
            if message[0] in _SIGNALS and self._count == 1:
                self._say(
                    f"{signal.Signals(message[0]).name}: stopping after this step, or this image of an evaluation; "
                    "a second signal stops at once"
                )

    def _stop_listening(self) -> None:
        if hasattr(self, "_thread"):
            signal.set_wakeup_fd(self._outbox_before)
            self._outbox.close()
            self._thread.join()
            self._inbox.close()
