"""The dense parts of the network on a GPU as recorded graphs: the host sends one command instead of hundreds.

With few images, a GPU is done with a layer before the host has sent it the next. A CUDA graph holds for one size of
input and works in the memory in which it was recorded, so every size has a graph of its own; images are padded no
further than the network needs, since other zeros at the edge would change what is found there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from maskrcnn.models.mask_rcnn import MaskRCNN

MAX_SIZES = 8
"""How many sizes are remembered, those used last; each holds the memory of a pass."""
WARM_UPS = 3
"""Passes before the recording: libraries choose their algorithms and take their memory."""

Inputs = Tensor | Sequence[Tensor]
Replay = Callable[[Inputs], Any]


class Replayed:
    """What a part computes, recorded when a size of its input comes for the second time, and replayed from then on.

    The results lie in the recording's own memory: they hold until the next call.

    Args:
        part: a module whose work depends on the sizes of its input alone.
        record: makes a replay of a function and its input; `record_cuda_graph`.
    """

    def __init__(self, part: nn.Module, record: Callable[[Replay, Inputs], Replay]) -> None:
        self.part = part
        self.record = record
        self.replays: dict[Hashable, Replay | None] = {}

    def __call__(self, inputs: Inputs) -> Any:
        """As the part's own `forward`."""
        compute = partial(type(self.part).forward, self.part)
        if not can_replay(self.part, inputs):
            return compute(inputs)
        key = self._key(inputs)
        is_new, replay = key not in self.replays, self.replays.pop(key, None)
        if replay is None and not is_new:
            replay = self.record(compute, inputs)
        self.replays[key] = replay  # as the one used last
        if len(self.replays) > MAX_SIZES:
            del self.replays[next(iter(self.replays))]
        return compute(inputs) if replay is None else replay(inputs)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "replays": {}}  # a graph cannot be copied

    def _key(self, inputs: Inputs) -> Hashable:
        """All that a recording depends on: sizes, types, where the weights lie, and what autocast makes of them."""
        device = _tensors(inputs)[0].device.type
        autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        weights = next((parameter.data_ptr() for parameter in self.part.parameters()), 0)
        return (*((x.shape, x.stride(), x.dtype, x.device) for x in _tensors(inputs)), weights, autocast)


def can_replay(part: nn.Module, inputs: Inputs) -> bool:
    """On a GPU, without gradients, and without hooks inside the part, which a replay would not call."""
    return (
        all(x.is_cuda for x in _tensors(inputs))
        and not torch.is_grad_enabled()
        and not part.training
        and not any(_is_watched(module) for module in part.modules() if module is not part)
    )


def record_cuda_graph(compute: Replay, inputs: Inputs) -> Replay:
    """A CUDA graph of `compute`, in memory of its own, on the GPU that the inputs lie on."""
    device = _tensors(inputs)[0].device
    # What is made here is written to in inference mode and outside of it.
    with torch.cuda.device(device), torch.inference_mode(False), torch.no_grad():
        own: Any = inputs.clone() if isinstance(inputs, Tensor) else [x.clone() for x in inputs]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                compute(own)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = compute(own)

    def replay(inputs: Inputs) -> Any:
        with torch.cuda.device(device):
            for mine, x in zip(_tensors(own), _tensors(inputs), strict=True):
                mine.copy_(x)
            graph.replay()
        return outputs

    return replay


def replay_dense_parts(network: MaskRCNN) -> None:
    """Let the backbone and the RPN's head of a network for prediction be replayed; behind them, sizes vary."""
    for part in (network.backbone, network.rpn and network.rpn.head):
        if part is not None and "forward" not in vars(part):
            part.forward = Replayed(part, record_cuda_graph)


def _tensors(inputs: Inputs) -> Sequence[Tensor]:
    return [inputs] if isinstance(inputs, Tensor) else inputs


def _is_watched(module: nn.Module) -> bool:
    return "forward" in vars(module) or bool(module._forward_hooks) or bool(module._forward_pre_hooks)
