"""Where in a file the weights lie: under a key of a training script, under a wrapper's prefix, beside their average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.text import brief, one_line

_PLAIN = (
    *("model", "state_dict", "model_state_dict", "model_state", "net", "network", "module", "_orig_mod"),
    *("weights", "params", "model_weights", "net_state_dict", "detector", "blobs"),
)
"""Keys of training scripts and other frameworks (Caffe2: `blobs`), and the attributes under which wrappers hold the
network: Lightning modules, `DistributedDataParallel` (`module`), `torch.compile` (`_orig_mod`)."""

_AVERAGED = (
    *("model_ema", "ema", "ema_model", "ema_state_dict", "model_ema_state_dict", "state_dict_ema", "ema_net"),
    *("averaged_model", "swa_model", "swa_state_dict", "params_ema"),
)
"""The same for a moving average of the weights."""

_WRAPPERS = (*_PLAIN, *_AVERAGED)
"""In the order in which they are looked for."""

_COUNTERS = frozenset(("n_averaged", "num_updates", "updates", "decay"))
"""What averages count beside the weights."""

_COMPILED = "_orig_mod."
"""Also in the middle of a name, where a part of the network was compiled."""

_MAX_DEPTH = 8
_MAX_KEYS = 8


class Weights(NamedTuple):
    """Tensors by the names their library gave them, and what was chosen on the way to them, a line each."""

    tensors: dict[str, Any]
    remarks: list[str]


def find_weights(content: Mapping[str, Any], key: str = "") -> Weights:
    """The weights in what a file holds.

    Args:
        content: of the file.
        key: where in it to look; empty: where weights usually lie, plain ones before averages.

    Raises:
        UserError: there are none; naming the keys that are there.
    """
    inner, remarks = _under(content, key), []
    for _ in range(_MAX_DEPTH):
        inner = _by_prefix(inner)
        if _COUNTERS & inner.keys():
            remarks += ["these weights are an average over training steps"]
        names = [name for name in _WRAPPERS if _holds_tensors(inner.get(name), _MAX_DEPTH)]
        if not names:
            break
        remarks += [*_choice(names), *_left_out(inner, names[0])]
        inner = inner[names[0]]
    tensors = {name.replace(_COMPILED, ""): value for name, value in inner.items() if _is_weight(name, value)}
    if not tensors:
        raise UserError(f"expected weights by name, but there are none; found {_listed(content)}")
    return _without_flattened_average(tensors, remarks)


def _under(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if not key:
        return content
    if not isinstance(content.get(key), Mapping):
        raise UserError(f"--key {key}: expected one under which there are weights; found {_listed(content)}")
    inner: Mapping[str, Any] = content[key]
    return inner


def _by_prefix(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where most weights' names begin with a wrapper's, as if they lay one level deeper: "model.conv1.weight"."""
    names = [name for name, value in content.items() if _is_weight(name, value)]
    wrapped = [name for name in names if "." in name and name.partition(".")[0] in _WRAPPERS]
    if 2 * len(wrapped) <= len(names):
        return content
    nested = {name: content[name] for name in content.keys() - wrapped}
    for name in wrapped:
        wrapper, _, rest = name.partition(".")
        inner = nested.setdefault(wrapper, {})
        if isinstance(inner, dict):
            inner[rest] = content[name]
    return nested


def _choice(names: list[str]) -> list[str]:
    """What to say of the key that was taken, where there was a choice or it is an average."""
    taken, others = names[0], names[1:]
    which = "averaged weights" if taken in _AVERAGED else "weights"
    if others:
        kind = "their average lies" if others[0] in _AVERAGED else "others lie"
        return [f"took the {which} under {taken}; {kind} beside them: --key {others[0]} takes that"]
    return [f"took the averaged weights under {taken}; there are no others"] if taken in _AVERAGED else []


def _without_flattened_average(tensors: dict[str, Any], remarks: list[str]) -> Weights:
    """MMEngine keeps the average among the weights: "ema_backbone_conv1_weight" beside "backbone.conv1.weight"."""
    averages = {f"ema_{name.replace('.', '_')}" for name in tensors} & tensors.keys()
    if not averages:
        return Weights(tensors, remarks)
    kept = {name: value for name, value in tensors.items() if name not in averages}
    return Weights(kept, [*remarks, "took the plain weights; their average (names with ema_) is left out"])


def _left_out(content: Mapping[str, Any], taken: str) -> list[str]:
    """What to say of weights that lie beside the key that was taken: metrics and losses of a Lightning module."""
    names = [name for name, value in content.items() if "." in str(name) and _is_weight(name, value)]
    return [f"left out {len(names)} outside of {taken}, such as {one_line(names[0])}"] if names else []


def _holds_tensors(content: Any, depth: int) -> bool:
    if not isinstance(content, Mapping) or not depth:
        return False
    return any(map(_is_tensor, content.values())) or any(_holds_tensors(content.get(n), depth - 1) for n in _WRAPPERS)


def _is_weight(name: Any, value: Any) -> bool:
    return isinstance(name, str) and name not in _COUNTERS and _is_tensor(value)


def _is_tensor(value: Any) -> bool:
    """A tensor, or an array that will be one."""
    return isinstance(value, Tensor | np.ndarray)


def _listed(content: Mapping[str, Any]) -> str:
    """The first few keys and what lies under them; where it might be weights, how to take them."""
    if not content:
        return "no keys at all"
    shown = [f"{one_line(str(name), 40)} ({_what(value)})" for name, value in list(content.items())[:_MAX_KEYS]]
    more = f", ... ({len(content)} in all)" if len(content) > _MAX_KEYS else ""
    inside = next((n for n, v in content.items() if isinstance(v, Mapping) and any(map(_is_tensor, v.values()))), None)
    return f"{', '.join(shown)}{more}" + (
        f"; --key {brief(inside)} takes what lies there" if inside is not None else ""
    )


def _what(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    return "a tensor" if _is_tensor(value) else type(value).__name__
