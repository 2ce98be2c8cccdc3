"""Several processes that train one model: `torchrun -m maskrcnn train ...`.

Each has the same weights and its slice of every batch. Losses are divided by the counts of all of them
(`ops.counts`), so that the sum of their gradients is that of one process with the whole batch: the number of ranks
changes how long a training takes, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from maskrcnn.errors import UserError
from maskrcnn.structures import Size
from maskrcnn.text import one_line
from maskrcnn.training.pulse import Pulse

T = TypeVar("T")

_START_TIMEOUT = timedelta(hours=2)
"""Until all ranks have read their data, and while the first one compares what was found with the labels."""

_BUCKET = 1 << 23
"""Numbers that are exchanged at once: enough to be fast, few enough to need little memory."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; alone, nothing is exchanged.

    Attributes:
        rank: 0 is the one that writes.
        world: how many there are.
        device: of this one.
        steps: the group that exchanges tensors in steps, with their time-out.
        talk: the same for Python objects.
        pulse: by which ranks know who has died.
    """

    rank: int
    world: int
    device: torch.device
    steps: dist.ProcessGroup | None = None
    talk: dist.ProcessGroup | None = None
    pulse: Pulse | None = None

    def begin(self, step: int) -> None:
        """From now on this is the step (1 is the first) that is named if something goes wrong."""
        if self.pulse is not None:
            self.pulse.begin(step)

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and speaks."""
        return self.rank == 0

    def slice_of(self, batch_size: int) -> int:
        """Images of a batch for each rank.

        Raises:
            UserError: they cannot be divided.
        """
        if batch_size % self.world:
            raise UserError(
                f"train.batch_size={batch_size} cannot be divided among {self.world} ranks; choose a multiple of "
                f"{self.world} (it counts the images of all ranks together)"
            )
        return batch_size // self.world

    def positions(self, batch: int, own_size: int) -> range:
        """Where this rank's images of a batch stand among all images of the step."""
        first = (batch * self.world + self.rank) * own_size
        return range(first, first + own_size)

    def total(self, count: int | Tensor) -> Tensor:
        """The sum over all ranks of a count."""
        number = torch.as_tensor(count, device=self.device).clone()
        self._exchange(lambda: dist.all_reduce(number, group=self.steps))
        return number

    def largest(self, size: Size) -> Size:
        """The largest height and width of any rank."""
        return self.highest(size[0]), self.highest(size[1])

    def highest(self, number: int) -> int:
        """The highest number of any rank."""
        if self.world == 1:
            return number
        highest = torch.tensor(number, device=self.device)
        self._exchange(lambda: dist.all_reduce(highest, dist.ReduceOp.MAX, group=self.steps))
        return int(highest)

    def add_up(self, numbers: Tensor) -> Tensor:
        """The sum over all ranks, in place."""
        if self.world > 1:
            self._exchange(lambda: dist.all_reduce(numbers, group=self.steps))
        return numbers

    def add_gradients(self, model: nn.Module) -> None:
        """Every parameter's gradient becomes the sum over all ranks; one that no rank has stays none."""
        if self.world == 1:
            return
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        known = self.add_up(torch.tensor([p.grad is not None for p in trained], dtype=torch.int32, device=self.device))
        needed = [p for p, ranks in zip(trained, known.tolist(), strict=True) if ranks]
        for bucket in _buckets(needed):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            flat = self.add_up(torch.cat([gradient.reshape(-1) for gradient in gradients]))
            for parameter, own, part in zip(bucket, gradients, flat.split([p.numel() for p in bucket]), strict=True):
                own.copy_(part.view_as(own))
                parameter.grad = own

    def gathered(self, value: T) -> list[T]:
        """What every rank has, in their order, on each of them; waits as long as the end of an evaluation may take."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        self._exchange(lambda: dist.all_gather_object(values, value))
        return values

    def share_of(self, count: int) -> range:
        """The numbers of this rank's images of an evaluation: one of every `world`, none twice."""
        return range(self.rank, count, self.world)

    def in_rounds(self, own: Iterator[T], count: int) -> Iterator[Sequence[T]]:
        """What all ranks make of their shares of `count` images, in the images' order, on rank 0; elsewhere nothing.

        In a round every rank makes one, so that memory is that of a round, and a rank that is dead or stuck is noticed
        as in a step of training. In the last round some have none left.
        """
        for first in range(0, count, self.world):
            yield self._at_first(next(own, None))[: count - first]

    def _at_first(self, value: Any) -> list[Any]:
        """What every rank has, in their order, on rank 0; elsewhere nothing."""
        if self.world == 1:
            return [value]
        values = [None] * self.world if self.is_first else None
        self._exchange(lambda: dist.gather_object(value, values, group=self.talk))
        return values or []

    def of_first(self, value: T) -> T:
        """What rank 0 has."""
        return self.gathered(value)[0]

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            self._exchange(dist.barrier)

    def _exchange(self, exchange: Callable[[], object]) -> None:
        if self.pulse is not None:
            self.pulse.exchanges += 1
        try:
            exchange()
        except RuntimeError as error:
            who = "another rank does not answer" if self.pulse is None else self.pulse.verdict()
            raise UserError(
                f"{who}; so rank {self.rank} ends too ({one_line(str(error), 200)}); resume from the last state with "
                "--resume"
            ) from error


ALONE = Ranks(0, 1, torch.device("cpu"))
"""One process, on whatever device."""


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for parameter in parameters:
        if bucket and (
            sum(p.numel() for p in bucket) + parameter.numel() > _BUCKET or parameter.dtype != bucket[0].dtype
        ):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket


@contextmanager
def joined(device: torch.device, timeout: int) -> Iterator[Ranks]:
    """This process among those that a launcher such as torchrun has started, by the variables that it sets.

    Args:
        device: of a process that is alone; on GPUs each takes its own.
        timeout: seconds that a rank waits for another in a step.

    Raises:
        UserError: variables that make no sense, or no other rank comes.
    """
    world, rank = _variable("WORLD_SIZE", 1), _variable("RANK", 0)
    if world == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", _variable("LOCAL_RANK", 0))
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    in_step = timedelta(seconds=timeout)
    try:
        store = _store(rank, world)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=_START_TIMEOUT)
        steps, talk = (dist.new_group(timeout=in_step, backend=name) for name in (backend, "gloo"))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"rank {rank} of {world}: cannot join the others ({one_line(str(error), 200)})") from error
    pulse = Pulse(store, rank, world)
    try:
        yield Ranks(rank, world, device, steps, talk, pulse)
    finally:
        pulse.stop()
        dist.destroy_process_group()


def _store(rank: int, world: int) -> PrefixStore:
    """Where ranks read each other's addresses, apart for each start.

    torchrun keeps the store when it starts the ranks anew, and with it the addresses of those that are dead. It counts
    the starts on each machine by itself, so several machines cannot tell them apart in this way.
    """
    store, _, _ = next(rendezvous("env://", rank, world, timeout=_START_TIMEOUT))
    starts = _variable("TORCHELASTIC_RESTART_COUNT", 0) if _variable("LOCAL_WORLD_SIZE", 0) == world else 0
    return PrefixStore(f"start {starts}", store)


def _variable(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        raise UserError(f"{name}={one_line(text)} in the environment: expected a whole number, as torchrun sets it")
    return int(text)


def with_shared_statistics(model: nn.Module, ranks: Ranks) -> nn.Module:
    """The model with batch norms that learn from the images of all ranks.

    Raises:
        UserError: on a CPU, where PyTorch has none such.
    """
    live = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    if ranks.world == 1 or not live:
        return model
    if ranks.device.type != "cuda":
        raise UserError(
            f"{len(live)} batch norms learn their statistics from the batch, which ranks can share on GPUs alone; set "
            "backbone.norm=frozen_bn or gn (backbone.frozen_stages does not stop those of later stages), or train in "
            "one process"
        )
    shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model, ranks.steps)
    return shared
