"""Normalisation layers by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from maskrcnn.kernels.group_norm import GroupNorm
from maskrcnn.kernels.onednn_faults import NARROW, NarrowStridedConv2d

GROUPS = 32
"""Group normalisation, Wu & He 2018: 32 groups, fewer where a layer has too few channels."""


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation with fixed statistics and affine parameters: y = x * scale + shift per channel."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def factors(self) -> tuple[Tensor, Tensor]:
        """(C,) scale and shift."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        scale, shift = self.factors()
        # The addition takes no new memory. Not `addcmul`, which rounds once where others round twice.
        return (x * scale[:, None, None].to(x.dtype)).add_(shift[:, None, None].to(x.dtype))


def make_norm(name: str, channels: int, eps: float = 1e-5) -> nn.Module:
    """A layer of `NORMS`; `eps` is that of frozen batch norm."""
    return FrozenBatchNorm2d(channels, eps) if name == "frozen_bn" else NORMS[name](channels)


def _group_norm(channels: int) -> GroupNorm:
    return GroupNorm(next(g for g in range(min(GROUPS, channels), 0, -1) if channels % g == 0), channels)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "frozen_bn": FrozenBatchNorm2d,
    "bn": nn.BatchNorm2d,
    "sync_bn": nn.SyncBatchNorm,
    "gn": _group_norm,
}


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    norm: str | None,
    norm_eps: float = 1e-5,
) -> nn.Sequential:
    """A "same"-padded convolution and its norm; the convolution has a bias only when no norm follows."""
    narrow = kernel == 1 and stride > 1 and in_channels // groups < NARROW
    conv = (NarrowStridedConv2d if narrow else nn.Conv2d)(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2 * dilation,
        dilation=dilation,
        groups=groups,
        bias=norm is None,
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(conv) if norm is None else nn.Sequential(conv, make_norm(norm, out_channels, norm_eps))
