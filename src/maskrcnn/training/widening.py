"""Weights for RGB in a network for other channels: its first convolution is made wider, or narrower.

Channel i of N gets the weights of colour i mod 3, divided by how many channels share this colour; with fewer channels
than three, each gets the N-th part of the colours' sum. So an image whose channels are all equal gives what the same
image in grey gave before, for every N.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from maskrcnn.config import InputConfig

_COLOURS = 3


def can_widen(theirs: InputConfig, ours: InputConfig) -> bool:
    """Whether weights for RGB are to see other channels."""
    is_rgb = theirs.channels == _COLOURS and theirs.rgb
    return is_rgb and not (ours.channels == _COLOURS and ours.rgb)


def widened(weight: Tensor, channels: int) -> Tensor:
    """(K, N, h, w) of the weights (K, 3, h, w) of a convolution over RGB."""
    if channels < _COLOURS:
        return (weight.sum(dim=1, keepdim=True) / channels).expand(-1, channels, -1, -1).contiguous()
    colour = torch.arange(channels) % _COLOURS
    return weight[:, colour] / colour.bincount()[colour].view(1, -1, 1, 1)


def widen(weights: dict[str, Tensor], target: Mapping[str, Tensor]) -> str:
    """Widen in place the convolutions over RGB that are over other channels in `target`; what was done, for people."""
    done = ""
    for name, wanted in target.items():
        given = weights.get(name)
        if given is None or given.ndim != 4 or given.shape[1] != _COLOURS or wanted.shape[1] == _COLOURS:
            continue
        if given.shape[0] == wanted.shape[0] and given.shape[2:] == wanted.shape[2:]:
            weights[name] = widened(given, wanted.shape[1])
            done = f"; the first convolution widened from RGB to {wanted.shape[1]} channel(s)"
    return done
