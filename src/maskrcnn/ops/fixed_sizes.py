"""Fixed sizes: a mode in which no tensor's size depends on values; what there is less of is padded.

A host runs ahead of its GPU until it must know such a size, and a recorded, exported or compiled graph holds for given
sizes alone. On other devices than the CPU the mode is always on; `fixed_sizes` turns it on there, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_wanted: ContextVar[bool] = ContextVar("fixed_sizes", default=False)


@contextmanager
def fixed_sizes() -> Iterator[None]:
    """In here, sizes are fixed on the CPU as well."""
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)


def has_fixed_sizes(x: Tensor) -> bool:
    """Whether what is computed from x has to have sizes that do not depend on its values."""
    return _wanted.get() or x.device.type != "cpu"
