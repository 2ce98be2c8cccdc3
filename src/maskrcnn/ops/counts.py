"""What a loss is divided by: the number of things it is a mean over.

Ranks that share a batch must divide by the number in the whole batch, not by their own: then the sum of their gradients
is that of one process with all images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_of_all_ranks: ContextVar[Callable[[int | Tensor], Tensor] | None] = ContextVar("of_all_ranks", default=None)


def divisor(count: int | Tensor) -> int | Tensor:
    """`count`, at least one; within `counted_over_ranks` that of all of them together.

    Args:
        count: of sampled RoIs, of pixels, ... in this batch; an integer or an int64 scalar.
    """
    total = _of_all_ranks.get()
    if total is not None:
        count = total(count)
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


@contextmanager
def counted_over_ranks(total: Callable[[int | Tensor], Tensor] | None) -> Iterator[None]:
    """In here, counts are those of all ranks. All of them must ask for the same counts in the same order.

    Args:
        total: the sum over all ranks of a count on this one; None: this process is alone.
    """
    token = _of_all_ranks.set(total)
    try:
        yield
    finally:
        _of_all_ranks.reset(token)
