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

_AFFINE_NORM = "_bn_s"
"""The scale of a batch norm in Caffe2's older files, which hold only scale and shift: its statistics went into them."""

_FROZEN_EPS = 1e-5


@dataclass(frozen=True)
class Renamed:
    """The weights of a file in our names, and the names that are unknown."""

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
    known = [sum(source.our_name(name) is not None for name in listed) for source in candidates]
    best = max(range(len(candidates)), key=known.__getitem__)
    if known[best] < len(listed) / 2:
        stranger = next(name for name in listed if candidates[best].our_name(name) is None)
        libraries = " or ".join(dict.fromkeys(source.library for source in candidates))
        raise UserError(
            f"expected weights of {libraries}, but only {known[best]} of {len(listed)} names are known; one that is "
            f"not: {stranger}"
        )
    return candidates[best]


def rename(tensors: Mapping[str, Tensor], source: Source) -> Renamed:
    """The weights of a file of this kind in our names; a second weight of the same name is unknown too."""
    renamed: Tensors = {}
    unknown = []
    for name, tensor in tensors.items():
        ours = source.our_name(name)
        if ours is not None and ours not in renamed:
            renamed[ours] = tensor
            if name.endswith(_AFFINE_NORM):
                renamed |= _statistics(ours.removesuffix(".weight"), tensor)
        elif not name.startswith(source.unused):
            unknown.append(name)
    return Renamed(_positioned(renamed), tuple(unknown))


def _statistics(layer: str, scale: Tensor) -> Tensors:
    """Mean 0, and a variance that is 1 together with its epsilon."""
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
