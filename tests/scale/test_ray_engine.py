"""Room for actors, actors that die, and Ray itself where it is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.build import build_model
from maskrcnn.errors import UserError
from maskrcnn.presets import preset
from maskrcnn.scale import ray_pool
from maskrcnn.scale.ray_engine import num_actors
from maskrcnn.scale.ray_pool import Pool
from maskrcnn.scale.shard_file import Tally, finished_rows
from maskrcnn.structures import Categories
from maskrcnn.weights import save_model

TWO = {"CPU": 2.0}
GPUS = {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("nodes", "free", "wanted", "cpus", "gpus", "number"),
    [
        ([TWO], TWO, None, 1, 0, 2),
        ([TWO], {"CPU": 1.0}, None, 1, 0, 1),  # another program has the rest
        ([TWO, TWO], {"CPU": 4.0}, 3, 1, 0, 3),
        ([GPUS, TWO], {"CPU": 18.0, "GPU": 2.0}, None, 1, 1, 2),
        ([GPUS], GPUS, None, 1, 0.25, 8),
        ([GPUS], GPUS, None, 8, 0.25, 2),
        ([{"CPU": 0.3}], {"CPU": 0.3}, None, 0.1, 0, 3),  # 0.3 / 0.1 is less than 3
    ],
)
def test_room_for_actors(
    nodes: list[dict[str, float]], free: dict[str, float], wanted: int | None, cpus: float, gpus: float, number: int
) -> None:
    assert num_actors(nodes, free, wanted, cpus, gpus) == number


@pytest.mark.parametrize(
    ("nodes", "free", "wanted", "cpus", "gpus", "message"),
    [
        ([TWO], TWO, 3, 1, 0, r"3 actors with 1 CPU .* of 1 node has 2 CPUs \(2 free\), .* room for 2; start fewer"),
        ([TWO, TWO], {"CPU": 4.0}, None, 4, 0, r"of 2 nodes has 4 CPUs \(4 free\), .* room for 0"),  # no node has 4
        ([TWO], {}, None, 1, 0, r"2 CPUs \(0 free\)"),
        ([TWO], TWO, None, 1, 1, r"1 actor with 1 CPU and 1 GPU each: .* 0 GPUs \(0 free\)"),
        ([], {}, None, 1, 0, "of 0 nodes has 0 CPUs"),
    ],
)
def test_no_room_is_said_before_anything_waits(
    nodes: list[dict[str, float]], free: dict[str, float], wanted: int | None, cpus: float, gpus: float, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        num_actors(nodes, free, wanted, cpus, gpus)


# --- actors that die, with a stand-in for Ray ----------------------------------------------------------------------


class Died(Exception):
    pass


class Raised(Exception):
    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


class StandIn:
    """What the pool uses of Ray; `fate` says what becomes of a call: (actor, "ready" or a shard) to a result."""

    class exceptions:
        RayActorError, RayTaskError = Died, Raised

    def __init__(self, fate: Callable[[int, object], object]) -> None:
        self.fate, self.num_actors = fate, 0

    def actor(self) -> Any:
        number, self.num_actors = self.num_actors, self.num_actors + 1

        class Method:
            def __init__(self, name: str) -> None:
                self.name = name

            def remote(self, shard: object = "ready") -> tuple[int, object, object]:
                return number, shard, object()  # each call is another

        class Actor:
            ready, do = Method("ready"), Method("do")

        return Actor()

    def wait(self, calls: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        over = [call for call in calls if self.fate(call[0], call[1]) is not None]
        return over[:1], over[1:]

    def get(self, call: Any) -> object:
        found = self.fate(call[0], call[1])
        if isinstance(found, Exception):
            raise found
        return None if found == "ready" else found


def pool_of(fate: Callable[[int, object], object], shards: int) -> tuple[Pool, list[int], list[str]]:
    ray, done, said = StandIn(fate), list[int](), list[str]()
    return Pool(ray, ray.actor, deque(range(shards)), lambda shard, tally: done.append(shard), said.append), done, said


def test_every_shard_is_done_once() -> None:
    pool, done, said = pool_of(lambda actor, shard: "ready" if shard == "ready" else Tally(), 5)
    pool.run(2)
    assert sorted(done) == [0, 1, 2, 3, 4] and said == [] and pool.ray.num_actors == 2


def test_the_shard_of_an_actor_that_died_is_done_by_another() -> None:
    def fate(actor: int, shard: object) -> object:
        if shard == "ready":
            return "ready"
        return Died("the worker died\nand more") if (actor, shard) == (0, 0) else Tally()

    pool, done, said = pool_of(fate, 3)
    pool.run(2)
    assert sorted(done) == [0, 1, 2] and said == ["an actor died at shard 0: the worker died"]
    assert pool.ray.num_actors == 3


def test_a_shard_at_which_actors_die_is_left_and_named_at_the_end() -> None:
    def fate(actor: int, shard: object) -> object:
        return "ready" if shard == "ready" else Died("killed") if shard == 1 else Tally()

    pool, done, said = pool_of(fate, 4)
    with pytest.raises(UserError, match=r"an actor died 3 times at shard 1 \(killed\).*; 1 shard not done"):
        pool.run(2)
    assert sorted(done) == [0, 2, 3] and len(said) == 3


def test_actors_that_never_start_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, done, _ = pool_of(lambda actor, shard: Died("No module named maskrcnn"), 4)
    with pytest.raises(UserError, match=r"3 times before its first shard \(No module named maskrcnn\).*4 shards not"):
        pool.run(2)
    monkeypatch.setattr(ray_pool, "START", -1.0)
    pool, done, _ = pool_of(lambda actor, shard: None, 4)  # they wait for room
    with pytest.raises(UserError, match="2 actors did not start within"):
        pool.run(2)
    assert done == []


def test_errors_of_an_actor_are_those_of_the_run() -> None:
    def fate(actor: int, shard: object) -> object:
        return "ready" if shard == "ready" else Raised(UserError("disk full")) if shard == 2 else Tally()

    pool, *_ = pool_of(fate, 4)
    with pytest.raises(UserError, match=r"^disk full$"):
        pool.run(1)
    pool, *_ = pool_of(lambda actor, shard: Raised(ZeroDivisionError("a bug")), 1)
    with pytest.raises(Raised, match="a bug"):
        pool.run(1)


def test_a_shard_that_another_process_does_not_leave() -> None:
    pool, *_ = pool_of(lambda actor, shard: "ready", 1)  # which `get` gives as None
    with pytest.raises(UserError, match="shard 0: another process is at it"):
        pool.run(1)


# --- Ray itself ----------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Sixty images, one of them broken, and a tiny model."""
    torch.manual_seed(0)
    config = preset("tiny")
    save_model(tmp_path / "tiny.safetensors", build_model(config, 2), config, Categories((3, 7), ("round", "long")), {})
    (tmp_path / "in").mkdir()
    random = np.random.default_rng(0)
    for number in range(60):
        Image.fromarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"in/{number}.png")
    (tmp_path / "in/30.png").write_bytes(b"no image")
    return tmp_path


def command(many: Path, output: str, *more: str) -> list[str]:
    options = ["--score-threshold", "0.01", "--max-detections", "2", "--model", str(many / "tiny.safetensors")]
    arguments = ["predict", str(many / "in"), "--output", str(many / output), "--shards", "5", "--quiet"]
    return ["timeout", "500", sys.executable, "-m", "maskrcnn", *arguments, *options, *more]


def rows(output: Path) -> list[str]:
    found = [row for path in (output / "shards").glob("*.jsonl") for row in finished_rows(path)]
    return sorted(json.dumps({**row, "seconds": 0}) for row in found)


def num_rows(output: Path) -> int:
    """Done so far."""
    return sum(path.read_bytes().count(b"\n") for path in (output / "shards").glob("*-of-*"))


def processes(root: int) -> Iterator[tuple[int, str]]:
    """Number and command line of all processes that began with this one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    ours = {root}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    for pid in ours:
        try:
            yield pid, Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue


def wait_for(condition: Callable[[], object], seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the processes to kill")
def test_the_same_rows_whoever_is_killed(many: Path) -> None:
    """One process; Ray with an actor killed in the middle; Ray with the driver killed, and started again."""
    pytest.importorskip("ray", reason="ray is not installed (the extra `ray`)")
    assert subprocess.run(command(many, "one")).returncode == 1
    expected = rows(many / "one")
    assert len(expected) == 60
    for victim in ("actor", "driver"):
        output = many / victim
        run = subprocess.Popen(command(many, victim, "--engine", "ray", "--actors", "1"))
        try:
            wait_for(lambda: num_rows(output) >= 15 or run.poll() is not None)  # noqa: B023
            started = dict(processes(run.pid))
            if victim == "actor":
                (pid,) = (pid for pid, line in started.items() if line.startswith("ray::ShardActor"))
            else:
                pid = next(pid for pid, line in started.items() if "maskrcnn\0predict" in line and pid != run.pid)
            os.kill(pid, signal.SIGKILL)
            code = run.wait(500)
        finally:
            run.kill()
        if victim == "driver":
            assert code == 128 + signal.SIGKILL or code == -signal.SIGKILL
            assert 0 < num_rows(output) < 60
            wait_for(lambda: not any(_is_alive(pid, line) for pid, line in started.items()), 60)  # noqa: B023
            code = subprocess.run(command(many, victim, "--engine", "ray", "--actors", "1")).returncode
        assert code == 1 and rows(output) == expected


def _is_alive(pid: int, line: str) -> bool:
    """That a process of this number still is the one it was: an actor, which could write."""
    try:
        return line.startswith("ray::ShardActor") and Path(f"/proc/{pid}/cmdline").read_text() == line
    except OSError:
        return False
