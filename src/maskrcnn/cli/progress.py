"""How a long run tells of itself: a bar on a terminal, a line per image elsewhere, JSON for programs, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

from maskrcnn.cli.arguments import CommandParser
from maskrcnn.errors import LONGEST_MESSAGE
from maskrcnn.text import one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from maskrcnn.prediction import Prediction

Log = Literal["text", "json"]


def add_progress_options(parser: CommandParser) -> None:
    """`--quiet` and `--log`."""
    parser.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="json: a line of JSON for each image (default: text)"
    )


class Reporter(ExitStack):
    """What a run over images says; a context while images are worked on.

    Args:
        quiet: warnings and errors alone.
        log: "json": an object per line on standard output, with `event`: note, image, skipped, done.
    """

    def __init__(self, quiet: bool = False, log: Log = "text") -> None:
        super().__init__()
        self._quiet, self._json = quiet, log == "json"
        self._total = self._done = 0
        self._started = time.perf_counter()
        self._bar: tuple[Progress, TaskID] | None = None

    def begin(self, total: int) -> None:
        """So many images are to be done; on a terminal a bar appears."""
        self._total, self._started = total, time.perf_counter()
        if not self._quiet and not self._json and sys.stderr.isatty():
            self._bar = self._show_bar()

    def _show_bar(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        bar = self.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
        return bar, bar.add_task("", total=self._total, rate="")

    def image(self, name: str, counts: Mapping[str, int], text: str) -> None:
        """One image is done: how many objects of each class, and the same in words."""
        self._step()
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, advance=1, rate=f"{self._rate:.3g} images/s")
        elif self._json:
            left = (self._total - self._done) / self._rate
            facts = {"done": self._done, "total": self._total, "seconds_left": round(left, 1)}
            self._write("image", file_name=name, objects=counts, images_per_second=round(self._rate, 3), **facts)
        elif not self._quiet:
            print(f"{self._done}/{self._total} {one_line(name, LONGEST_MESSAGE)}: {text}")

    def skipped(self, name: str, reason: str) -> None:
        """One image cannot be done."""
        self._step()
        print(f"skipped: {reason}", file=sys.stderr)
        if self._json:
            self._write("skipped", file_name=name, reason=reason)

    def shard(self, number: int, num_shards: int, reasons: Sequence[str], **facts: int) -> None:
        """One shard of many images is done; `reasons` are those of the first that could not be read."""
        self._step()
        for reason in reasons:
            print(f"skipped: {reason}", file=sys.stderr)
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, advance=1, rate=f"{self._rate:.3g} shards/s")
        elif self._json:
            self._write("shard", shard=number, shards=num_shards, reasons=list(reasons), **facts)
        elif not self._quiet:
            counts = ", ".join(f"{value} {name}" for name, value in facts.items())
            print(f"shard {number}/{num_shards}: {counts}", flush=True)

    def note(self, text: str) -> None:
        """Something to know."""
        if self._json:
            self._write("note", text=text)
        elif not self._quiet:
            print(text)

    def warn(self, text: str) -> None:
        """What results lack, or what is in the way of them."""
        print(text, file=sys.stderr)
        if self._json:
            self._write("note", text=text)

    def done(self, text: str, **facts: Any) -> None:
        """What came out, as a sentence and as facts."""
        if self._json:
            self._write("done", **facts)
        elif not self._quiet:
            print(text)

    def _step(self) -> None:
        self._done += 1

    @property
    def _rate(self) -> float:
        """Images per second."""
        return self._done / max(time.perf_counter() - self._started, 1e-9)

    def _write(self, event: str, **facts: Any) -> None:
        print(json.dumps({"event": event, **facts}), flush=True)


def describe(names: Mapping[str, int], prediction: Prediction) -> str:
    """How many objects of each class, in the order given; of every pixel the shares of the classes."""
    from maskrcnn.viz.label_maps import class_shares

    counts = [f"{number} {one_line(name)}" for name, number in names.items()]
    if prediction.semantic is not None:
        shares = class_shares(prediction.semantic, prediction.categories.names)
        counts += [f"{share:.1%} {one_line(name)}" for name, share in shares.items()]
    return ", ".join(counts) or "nothing found"
