"""`maskrcnn serve` under load: many clients for a while, and ten times more requests than it can answer.

python benchmarks/serve.py [--model nuclei] [--images DIR] [--clients 64] [--seconds 60]

Clients and server share the processor. So beside the wall clock stands what the server itself used of the processor,
and what `Model.stream` uses for the same pictures in a process of its own, before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
QUEUE = 64
"""Waiting requests in the first part; the second has the server's own default."""
LEAST = 0.9
"""Of the throughput of `Model.stream`: what the server must reach."""

STREAM = """
import sys, time, json, maskrcnn
from pathlib import Path
model = maskrcnn.load(sys.argv[1])
files = [file.read_bytes() for file in sorted(Path(sys.argv[2]).iterdir())]
for _ in model.stream(files): pass
wall, used = time.perf_counter(), time.process_time()
count = sum(prediction.to_coco() is not None for _ in range(2) for prediction in model.stream(files))
wall, used = (time.perf_counter() - wall) / count, (time.process_time() - used) / count
def alone(file):
    begin = time.perf_counter()
    for prediction in model.stream([file]): prediction.to_coco()
    return time.perf_counter() - begin
print(json.dumps([wall, used, [sorted(alone(file) for _ in range(3))[1] for file in files]]))
"""


@dataclass
class Answers:
    """Statuses and times of what was asked, and the moments of the answers."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def add(self, status: int, begun: float) -> None:
        """An answer that is there now, to what was asked at that moment."""
        now = time.perf_counter()
        self.seconds.setdefault(status, []).append(now - begun)
        self.begun.append(begun)
        self.ended.append(now)

    def count(self, status: int) -> int:
        return len(self.seconds.get(status, ()))

    def percentile(self, status: int, percent: float) -> float:
        return float(np.percentile(self.seconds[status], percent)) if self.count(status) else float("nan")

    def most_others(self) -> int:
        """The most answers to others that one had to wait for; where the queue is fair, one for each other client."""
        before = np.searchsorted(self.ended, self.begun, side="right")
        return int((np.arange(len(self.ended)) - before).max())

    def slowest(self, number: int) -> float:
        """The longest time that so many answers in a row took: what a place at the end of a full queue can cost."""
        ended = np.array(self.ended)
        return float((ended[number:] - ended[:-number]).max()) if len(ended) > number else float("nan")

    def __str__(self) -> str:
        return ", ".join(f"{len(times)} x {status}" for status, times in sorted(self.seconds.items()))


class Server:
    """A running server.

    Args:
        options: of `maskrcnn serve`.
    """

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "maskrcnn", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        ready = next(line for line in lines if line.startswith("ready"))
        self.port = int(re.search(r":(\d+) ", ready)[1])  # type: ignore[index]
        threading.Thread(target=lambda: list(lines), daemon=True).start()

    @property
    def rss(self) -> float:
        """MiB in memory."""
        return int(re.search(r"VmRSS:\s*(\d+)", self._proc("status"))[1]) / 1024  # type: ignore[index]

    @property
    def used(self) -> float:
        """Seconds of the processor so far."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    server = Server(*options)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(120)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """POST a picture on an open connection; the status, once all of the answer is there."""
    writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(b" ", 2)[1])


async def timed(port: int, body: bytes, answers: Answers) -> None:
    """One request on a connection of its own."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers.add(await ask(reader, writer, body), started)
    writer.close()


async def many_clients(
    server: Server, bodies: list[bytes], clients: int, seconds: float
) -> tuple[Answers, list[float]]:
    """So many clients that ask again as soon as they have an answer; the memory each second."""
    answers, memory, end = Answers(), [], time.perf_counter() + seconds
    turn = itertools.cycle(bodies)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while time.perf_counter() < end:
            started = time.perf_counter()
            answers.add(await ask(reader, writer, next(turn)), started)
        writer.close()

    async def watch() -> None:
        while time.perf_counter() < end:
            memory.append(server.rss)
            await asyncio.sleep(1)

    await asyncio.gather(watch(), *(client() for _ in range(clients)))
    return answers, memory


async def overload(server: Server, bodies: list[bytes], per_second: float, seconds: float) -> Answers:
    """Requests at a steady rate, whether or not the server can follow."""
    answers, turn, tasks = Answers(), itertools.cycle(bodies), []
    for _ in range(round(per_second * seconds)):
        tasks.append(asyncio.create_task(timed(server.port, next(turn), answers)))
        await asyncio.sleep(1 / per_second)
    await asyncio.gather(*tasks)
    return answers


@dataclass(frozen=True)
class Streamed:
    """Seconds a picture of `Model.stream`: on the wall clock, of the processor, and of each picture by itself."""

    wall: float
    used: float
    alone: list[float]

    @classmethod
    def measure(cls, model: str, images: str) -> Streamed:
        command = [sys.executable, "-c", STREAM, model, images]
        return cls(*json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def longest_wait(alone: Sequence[float], number: int, seconds: float) -> float:
    """What the last of `number` requests waits at most, if they come in turn and are answered in turn.

    It is known before a request is sent: the pictures' own times say which `number` in a row cost most, and `seconds`
    what a picture takes on average.
    """
    turn = np.tile(alone, number // len(alone) + 2)
    sums = np.convolve(turn, np.ones(number), mode="valid")
    return float(sums.max() / np.mean(alone) * seconds)


def measure_clients(model: str, images: str, bodies: list[bytes], clients: int, seconds: float) -> float:
    """Print the first part; the pictures a second."""
    before = Streamed.measure(model, images)
    with serving("--model", model, "--max-queue", str(QUEUE), "--timeout", "600") as server:
        asyncio.run(many_clients(server, bodies, clients, min(seconds / 4, 15)))  # memory reaches its level
        used, started = server.used, time.perf_counter()
        answers, memory = asyncio.run(many_clients(server, bodies, clients, seconds))
        wall, used = time.perf_counter() - started, server.used - used
    after = Streamed.measure(model, images)
    done, quarter = answers.count(200), max(len(memory) // 4, 1)
    first, last = np.median(memory[:quarter]), np.median(memory[-quarter:])
    print(f"{clients} clients, {wall:.0f} s: {answers}")
    print(f"  {done / wall:.2f} pictures/s; processor {used / done:.3f} s a picture")
    print(
        f"  stream before and after: {before.wall:.3f}, {after.wall:.3f} s a picture; "
        f"processor {before.used:.3f}, {after.used:.3f} s"
    )
    print(f"  answers: median {answers.percentile(200, 50):.2f} s, p99 {answers.percentile(200, 99):.2f} s")
    slower = max(before, after, key=lambda streamed: streamed.wall)
    promised, average = (longest_wait(slower.alone, clients, each) for each in (slower.wall / LEAST, wall / done))
    print(f"  bound from the pictures' own times and {LEAST} of stream: {promised:.2f} s; at an even pace ", end="")
    print(f"{average:.2f} s; the slowest {clients} answers in a row took {answers.slowest(clients):.2f} s")
    print(f"  nobody waited for more than {answers.most_others()} answers to others")
    print(f"  memory: {first:.0f} MiB in the first quarter, {last:.0f} in the last ({100 * (last / first - 1):+.1f} %)")
    return done / wall


def measure_overload(model: str, bodies: list[bytes], per_second: float, seconds: float) -> None:
    """Print the second part."""
    with serving("--model", model) as server:
        answers = asyncio.run(overload(server, bodies, per_second, seconds))
    print(f"{per_second:.0f} requests a second, ten times what it can do, {seconds:.0f} s: {answers}")
    median, slow = (1e3 * answers.percentile(429, percent) for percent in (50, 99))
    print(f"  refusals: median {median:.0f} ms, p99 {slow:.0f} ms; answers: p99 {answers.percentile(200, 99):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--images", default=str(ROOT / "examples/nuclei_mini/images"))
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    values = parser.parse_args()
    bodies = [path.read_bytes() for path in sorted(Path(values.images).iterdir())]
    per_second = measure_clients(values.model, values.images, bodies, values.clients, values.seconds)
    small = sorted(bodies, key=len)[: max(len(bodies) // 2, 1)]
    measure_overload(values.model, small, 10 * per_second, values.seconds / 3)


if __name__ == "__main__":
    main()
