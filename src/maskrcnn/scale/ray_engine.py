"""Ray hands out shards to actors with a model each. Nothing but the numbers of shards and what they come to travels.

Resources are looked at first: an actor that no node has room for waits for ever in Ray, and says nothing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.process import SETTINGS
from maskrcnn.scale.ray_pool import Pool
from maskrcnn.scale.rows import Job
from maskrcnn.scale.shard_file import Tally
from maskrcnn.scale.shards import NameFiles
from maskrcnn.scale.work import Shards, ShardWork
from maskrcnn.text import counted, one_line

OBJECT_STORE = 80 << 20
"""Bytes of shared memory for a Ray of our own, about the least it takes: hardly anything travels."""

BUSY = 120.0
"""Seconds to wait where another process is at a shard: one that is being killed, most likely."""


@dataclass(frozen=True)
class RayOptions:
    """How many actors, and what each needs.

    Attributes:
        address: of a cluster that runs; None: a Ray of our own on this machine.
        actors: None: as many as there is room for.
        cpus: of each actor, which computes in as many threads.
        gpus: of each actor, may be a part of one; None: one where the device is a GPU, or "auto" and there are any.
    """

    address: str | None = None
    actors: int | None = None
    cpus: int = 1
    gpus: float | None = None


class ShardActor:
    """An actor: a process with a model, which does one shard after the other."""

    def __init__(self, job: Job, shards: Shards, names: NameFiles) -> None:
        os.chdir(job.folder)
        self._work = ShardWork(job, shards, names)

    def ready(self) -> None:
        """The process is there."""

    def do(self, shard: int) -> Tally | None:
        """As `ShardWork.do`."""
        return self._work.do(shard, BUSY)


def on_ray(
    job: Job,
    shards: Shards,
    names: NameFiles,
    wanted: Sequence[int],
    options: RayOptions,
    done: Callable[[int, Tally], object],
    say: Callable[[str], object] = lambda text: None,
) -> None:
    """Do shards on Ray.

    Args:
        job: what actors must know. Output and files must have the same paths on all machines.
        shards: of which output.
        names: of the images of each.
        wanted: the shards to do.
        options: how many actors.
        done: called for each shard that is whole.
        say: is told what happens.

    Raises:
        UserError: no Ray, no room for the actors, whatever an actor raised, or shards at which actors died.
    """
    with _connected(options.address) as ray:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = _gpus(job.device, options.gpus, nodes)
        number = num_actors(nodes, ray.available_resources(), options.actors, options.cpus, gpus)
        number = min(number, len(wanted))
        say(f"{counted(number, 'actor')} with {options.cpus} CPU and {gpus:g} GPU each")
        device = "cuda" if gpus else job.device.replace("auto", "cpu")
        actor = ray.remote(ShardActor).options(
            num_cpus=options.cpus,
            num_gpus=gpus,
            max_restarts=0,
            runtime_env={"env_vars": {**SETTINGS, "OMP_NUM_THREADS": str(options.cpus)}},
        )
        pool = Pool(ray, partial(actor.remote, replace(job, device=device), shards, names), deque(wanted), done, say)
        pool.run(number)


def num_actors(
    nodes: Iterable[Mapping[str, float]], free: Mapping[str, float], wanted: int | None, cpus: float, gpus: float
) -> int:
    """How many actors there is room for now, or as many as are wanted.

    Args:
        nodes: what each machine has, by Ray's names "CPU" and "GPU".
        free: what no other program of the cluster has taken, in all.
        wanted: None: as many as possible.
        cpus: of each actor.
        gpus: of each actor.

    Raises:
        UserError: there is no room for them, with what is missing.
    """
    nodes = list(nodes)
    room = min(sum(_room(node, cpus, gpus) for node in nodes), _room(free, cpus, gpus))
    if room >= (wanted or 1):
        return wanted or room
    has = ", ".join(
        f"{sum(node.get(kind, 0) for node in nodes):g} {kind}s ({free.get(kind, 0):g} free)" for kind in ("CPU", "GPU")
    )
    raise UserError(
        f"{counted(wanted or 1, 'actor')} with {cpus:g} CPU and {gpus:g} GPU each: expected room for them, but the Ray "
        f"cluster of {counted(len(nodes), 'node')} has {has}, room for {room}; start fewer (--actors), smaller ones "
        "(--cpus-per-actor, --gpus-per-actor), wait, or add nodes"
    )


def _room(resources: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Actors that fit; Ray's numbers are multiples of 1/10000."""
    needs = {"CPU": cpus, "GPU": gpus}
    return min(int((resources.get(kind, 0) + 1e-6) / need) for kind, need in needs.items() if need)


def _gpus(device: str, wanted: float | None, nodes: Iterable[Mapping[str, float]]) -> float:
    if wanted is not None:
        return wanted
    has_any = any(node.get("GPU", 0) for node in nodes)
    return 1.0 if device.startswith("cuda") or (device == "auto" and has_any) else 0.0


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Ray, until the end of the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs the library ray; install it: pip install ray") from None
    own = {"address": "local", "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        ray.init(**(own if address is None else {"address": address}), logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = "on this machine" if address is None else f"at {address}"
        raise UserError(
            f"Ray cannot be started or found {where} ({one_line(str(error))}); see --ray-address"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
