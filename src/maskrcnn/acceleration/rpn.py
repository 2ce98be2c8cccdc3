"""The RPN made fast: in prediction its two outputs are one, in training gradients flow through the drawn anchors alone.

A loss draws 256 anchors of an image's tens of thousands. The outputs of all are made without a gradient, for the
selection of proposals; those of the drawn ones are recomputed from the 3 x 3 cells around each, and of all that the
first pass has read and found, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.acceleration.choice import suits_winograd
from maskrcnn.acceleration.layers import FusedConv2d
from maskrcnn.kernels.convolution import ConvolutionOptions, convolve, is_plain_float
from maskrcnn.kernels.places import in_places
from maskrcnn.kernels.winograd import convolve_winograd, transformed, transforming_once
from maskrcnn.models.losses import Losses
from maskrcnn.models.rpn import RPN, DrawnAnchors, RPNHead, RPNOutput
from maskrcnn.structures import Size, Targets


def outputs_of_cells(cells: Sequence[Tensor], num_anchors: int) -> tuple[list[Tensor], list[Tensor]]:
    """What `RPNHead.forward` returns, from A logits and then 4A deltas (N, h, w, 5A) of every cell, level by level."""
    logits = [level[..., :num_anchors].flatten(1) for level in cells]
    deltas = [level[..., num_anchors:].reshape(level.shape[0], -1, 4) for level in cells]
    return logits, deltas


class FusedRPNHead(nn.Module):
    """The RPN's head with its two outputs as one, done by the convolution before them.

    What that convolution finds on the finest level is as large as the level itself, and is read by the outputs alone.

    Args:
        convs: the head's 3x3 convolutions, each with its ReLU.
        head: what it replaces.
    """

    def __init__(self, convs: Sequence[FusedConv2d], head: RPNHead) -> None:
        super().__init__()
        *first, self.last = convs
        self.first = nn.Sequential(*first)
        self.num_anchors = head.objectness.out_channels
        self.outputs = FusedConv2d(_joined(head.objectness, head.deltas), relu=False)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """As `RPNHead.forward`."""
        with transforming_once():  # for all levels
            cells = [self.last.forward_then(self.first(x), self.outputs).permute(0, 2, 3, 1) for x in features]
        return outputs_of_cells(cells, self.num_anchors)


def _joined(*layers: nn.Conv2d) -> nn.Conv2d:
    """1x1 convolutions of the same input as a single one, outputs one after the other."""
    first = layers[0]
    with torch.device("meta"):
        joined = nn.Conv2d(first.in_channels, sum(layer.out_channels for layer in layers), 1)
    joined.weight = nn.Parameter(torch.cat([layer.weight for layer in layers]), requires_grad=False)
    biases = [layer.bias for layer in layers if layer.bias is not None]
    joined.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
    return joined


@dataclass(frozen=True)
class OutputAndFeatures(RPNOutput):
    """Raw outputs without gradients, and the features (N, C, h, w) of each level that they were made from."""

    features: Sequence[Tensor]


class FastRPN(RPN):
    """For training on the CPU, where the head has a single 3x3 convolution."""

    def forward(self, features: Sequence[Tensor], image_size: Size) -> RPNOutput:
        """As `RPN.forward`, but without gradients: these come with `loss`."""
        if not all(is_plain_float(x) for x in features):
            return super().forward(features, image_size)
        with torch.no_grad():
            logits, deltas = outputs_of_cells(self._outputs(features), self.head.objectness.out_channels)
        return OutputAndFeatures(logits, deltas, self.anchors(features, image_size), features)

    def loss(
        self, output: RPNOutput, targets: Sequence[Targets], generators: Sequence[torch.Generator | None]
    ) -> Losses:
        """As `RPN.loss`."""
        if not isinstance(output, OutputAndFeatures):
            return super().loss(output, targets, generators)
        drawn = self.draw(output, targets, generators)
        return self.loss_of(drawn, *self.outputs_of(drawn, output.features), len(targets))

    def outputs_of(self, drawn: DrawnAnchors, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (S,) and deltas (S, 4) of the drawn anchors; gradients flow."""
        logits, deltas = self.head.objectness, self.head.deltas
        num_anchors = logits.out_channels
        cells, own = drawn.indices // num_anchors, drawn.indices % num_anchors
        hidden = F.relu(F.linear(_neighbourhoods(features, drawn.images, cells), *self._matrix()), inplace=True)
        all_logits = F.linear(hidden, logits.weight.flatten(1), logits.bias)
        all_deltas = F.linear(hidden, deltas.weight.flatten(1), deltas.bias).unflatten(1, (num_anchors, 4))
        rows = torch.arange(own.shape[0])
        return all_logits[rows, own], all_deltas[rows, own]

    def _matrix(self) -> tuple[Tensor, Tensor | None]:
        """The 3x3 convolution as a linear layer (K, 9 C) of a cell's neighbourhood, and its bias (K,)."""
        (conv,) = self.head.convs
        assert isinstance(conv, nn.Conv2d)
        return conv.weight.permute(0, 2, 3, 1).flatten(1), conv.bias

    def _outputs(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits and deltas (N, h, w, 5 A) of every cell of every level."""
        (conv,), (logits, deltas) = self.head.convs, (self.head.objectness, self.head.deltas)
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
