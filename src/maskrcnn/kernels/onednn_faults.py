"""Ways around faults of oneDNN, the library that PyTorch computes convolutions with on a CPU.

Until torch brings a oneDNN without it: the gradient of a strided 1x1 convolution of few input channels, channels-last
in memory, is written beyond the end of the weights (oneDNN's issue 6035, in torch 2.13). It corrupts the heap, and the
process dies some time later.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

NARROW = 16
"""Fewer input channels than this do not fill the blocks of oneDNN's kernels."""


class NarrowStridedConv2d(nn.Conv2d):
    """The same as `nn.Conv2d` for a 1x1 kernel without padding: leaves out cells first, then convolves at stride 1.

    With a stride and fewer than `NARROW` input channels, channels-last in memory, the gradient of the weights is
    written beyond its end: oneDNN's issue 6035, in torch 2.13. Wider convolutions are safe, and faster as they are.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        rows, columns = self.stride
        return F.conv2d(input[:, :, ::rows, ::columns], self.weight, self.bias, groups=self.groups)
