"""The RPN's head for training on the CPU: gradients flow through the anchors that the loss has drawn, no others.

The loss draws 256 anchors of an image's tens of thousands. The outputs of all are made without a gradient, for the
selection of proposals; those of the drawn ones are made again from the 3 x 3 cells around each, and of all that the
first pass has read and found, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.acceleration.choice import suits_winograd
from maskrcnn.kernels.convolution import ConvolutionOptions, convolve, is_plain_float
from maskrcnn.kernels.winograd import convolve_winograd, transformed, transforming_once
from maskrcnn.models.rpn import RPNHead, RPNOutput, outputs_of_cells
from maskrcnn.ops.roi_align import in_places


class TrainableRPNHead(RPNHead):
    """Holds the very parameters of the head that it replaces, which has a single 3x3 convolution."""

    def __init__(self, head: RPNHead) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(head))

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """As `RPNHead.forward`, but without gradients: these come from `at`."""
        if not all(is_plain_float(x) for x in features):
            return super().forward(features)
        with torch.no_grad():
            return outputs_of_cells(self._outputs(features), self.objectness.out_channels)

    def at(self, output: RPNOutput, images: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """As `RPNHead.at`."""
        if not all(is_plain_float(x) for x in output.features):
            return super().at(output, images, anchors)
        num_anchors = self.objectness.out_channels
        cells, own = anchors // num_anchors, anchors % num_anchors
        hidden = F.relu(F.linear(_neighbourhoods(output.features, images, cells), *self._matrix()), inplace=True)
        logits, deltas = self.objectness, self.deltas
        all_logits = F.linear(hidden, logits.weight.flatten(1), logits.bias)
        all_deltas = F.linear(hidden, deltas.weight.flatten(1), deltas.bias).unflatten(1, (num_anchors, 4))
        rows = torch.arange(len(anchors))
        return all_logits[rows, own], all_deltas[rows, own]

    def _matrix(self) -> tuple[Tensor, Tensor | None]:
        """The 3x3 convolution as a linear layer (K, 9 C) of a cell's neighbourhood, and its bias (K,)."""
        (conv,) = self.convs
        assert isinstance(conv, nn.Conv2d)
        return conv.weight.permute(0, 2, 3, 1).flatten(1), conv.bias

    def _outputs(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits and deltas (N, h, w, 5 A) of every cell of every level."""
        (conv,), (logits, deltas) = self.convs, (self.objectness, self.deltas)
        assert isinstance(conv, nn.Conv2d) and logits.bias is not None and deltas.bias is not None
        weight, bias = torch.cat([logits.weight, deltas.weight]), torch.cat([logits.bias, deltas.bias])
        outputs = []
        with transforming_once():  # for all levels
            for x in features:
                if suits_winograd(conv, x):
                    winograd_weight, then = transformed(conv.weight, x.shape), (weight.flatten(1), bias)
                    y = convolve_winograd(x, winograd_weight, conv.bias, relu=True, then=then)
                else:
                    hidden = convolve(x, conv.weight, conv.bias, None, ConvolutionOptions(padding=(1, 1), relu=True))
                    y = F.conv2d(hidden, weight, bias)
                outputs.append(y.permute(0, 2, 3, 1))
        return outputs


def _neighbourhoods(features: Sequence[Tensor], images: Tensor, cells: Tensor) -> Tensor:
    """(S, 9 C): the 3 x 3 cells around cells (S,) of images (S,), zero outside; cells count through all levels."""
    ends = torch.tensor([level.shape[2:].numel() for level in features]).cumsum(0)
    levels = torch.bucketize(cells, ends, right=True)
    places, parts = [], []
    for i, x in enumerate(features):
        place = (levels == i).nonzero()[:, 0]
        first = ends[i] - x.shape[2:].numel()
        places.append(place)
        parts.append(_around(x, images[place], cells[place] - first))
    return in_places(places, parts)


def _around(x: Tensor, images: Tensor, cells: Tensor) -> Tensor:
    """(M, 9 C) of cells (M,) of one level x (N, C, h, w)."""
    height, width = x.shape[2:]
    steps = torch.tensor([-1, 0, 1])
    rows = (cells // width)[:, None, None] + steps[:, None]
    columns = (cells % width)[:, None, None] + steps
    outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
    pixels = ((images[:, None, None] * height + rows) * width + columns).masked_fill(outside, 0)
    values = F.embedding(pixels, x.permute(0, 2, 3, 1).flatten(0, 2))
    return values.masked_fill(outside[..., None], 0).flatten(1)
