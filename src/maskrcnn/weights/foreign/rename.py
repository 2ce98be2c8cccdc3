"""From another library's names to ours: which file is this, what is each weight called here, what is left over?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.weights.foreign.names import SOURCES, Source

Tensors = dict[str, Tensor]

_NUMBERED = re.compile(r"(?P<head>.+)\.(?P<layer>conv|norm|fc)\.(?P<number>\d+)\.(?P<kind>\w+)")
"""A layer of a head that has no position yet; see `names.py`."""

_AFFINE_NORM = "_bn"
"""Caffe2's files hold only scale and shift of a batch norm, into which its statistics went."""

_FROZEN_EPS = 1e-5


@dataclass(frozen=True)
class Renamed:
    """The weights of a file in our names, and the names nobody knows."""

    tensors: Tensors
    unknown: tuple[str, ...]


def recognise(names: Iterable[str], library: str = "auto") -> Source:
    """The kind of file in which the weights have these names.

    Args:
        names: of the weights.
        library: "torchvision" or "detectron2" to try only one of them; "auto" tries all.

    Raises:
        UserError: no source has such names, or only few of them.
    """
    listed = list(names)
    candidates = [source for source in SOURCES if library in ("auto", source.library)]
    known = [sum(_our_name(name, source) is not None for name in listed) for source in candidates]
    best = max(range(len(candidates)), key=known.__getitem__)
    if known[best] < len(listed) / 2:
        raise UserError(
            f"expected weights of {_libraries(candidates)}, but only {known[best]} of {len(listed)} names are known; "
            f"one that is not: {next(name for name in listed if _our_name(name, candidates[best]) is None)}"
        )
    return candidates[best]


def rename(tensors: Mapping[str, Tensor], source: Source) -> Renamed:
    """The weights of a file of this kind in our names."""
    renamed: Tensors = {}
    unknown = []
    for name, tensor in tensors.items():
        if (ours := _our_name(name, source)) is not None:
            renamed[ours] = tensor
            renamed |= _statistics(name, ours, tensor, source)
        elif not name.startswith(source.unused):
            unknown.append(name)
    return Renamed(_positioned(renamed), tuple(unknown))


def _our_name(name: str, source: Source) -> str | None:
    layer, _, kind = name.rpartition(source.separator)
    kinds = source.kinds
    if layer not in source.names or (kinds and kind not in kinds):
        return None
    return f"{source.names[layer]}.{kinds.get(kind, kind)}"


def _statistics(name: str, ours: str, scale: Tensor, source: Source) -> Tensors:
    """Mean 0 and variance 1 (with its epsilon) for a norm that came as scale and shift alone."""
    if not (source.kinds and name.endswith(f"{_AFFINE_NORM}_s")):
        return {}
    layer = ours.removesuffix(".weight")
    return {
        f"{layer}.running_mean": torch.zeros_like(scale),
        f"{layer}.running_var": torch.ones_like(scale) - _FROZEN_EPS,
    }


def _positioned(tensors: Tensors) -> Tensors:
    """Layers of the heads get their positions: convolution, norm if there are any, ReLU; flatten; linear, ReLU."""
    matches = {name: match for name in tensors if (match := _NUMBERED.fullmatch(name))}
    numbers: dict[tuple[str, str], set[int]] = {}
    for match in matches.values():
        numbers.setdefault((match["head"], match["layer"]), set()).add(int(match["number"]))
    return {_position(matches[n], numbers) if n in matches else n: tensor for n, tensor in tensors.items()}


def _position(match: re.Match[str], numbers: Mapping[tuple[str, str], set[int]]) -> str:
    head, layer = match["head"], match["layer"]
    rank = sorted(numbers[head, layer]).index(int(match["number"]))
    per_conv = 3 if (head, "norm") in numbers else 2
    first_fc = per_conv * len(numbers.get((head, "conv"), ())) + 1
    position = {"conv": per_conv * rank, "norm": per_conv * rank + 1, "fc": first_fc + 2 * rank}[layer]
    return f"{head}.{position}.{match['kind']}"


def _libraries(sources: Iterable[Source]) -> str:
    return " or ".join(dict.fromkeys(source.library for source in sources))
