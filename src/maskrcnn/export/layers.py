"""A network in the forms that engines compute fastest; the results are the same.

Shapes: R regions, C channels of their features, K channels behind the deconvolution, S height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.acceleration.mask_head import four_layers
from maskrcnn.acceleration.replacing import as_a
from maskrcnn.models.backbones.efficientnet_lite import EfficientNetLite0
from maskrcnn.models.backbones.resnet import ResNet
from maskrcnn.models.fpn import FPN
from maskrcnn.models.mask_head import FCNMaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN

BLOCK = 16
"""Channels that engines keep together in memory, as many as a register of AVX-512 or four of NEON hold."""


def rewrite_layers(network: MaskRCNN) -> MaskRCNN:
    """Rewrite layers in place.

    Args:
        network: from `recording.plain_copy`: where norms are not folded, the backbone stays as it is.

    Returns:
        The same network.
    """
    for name, branch in network.roi_branches.items():
        if type(branch) is FCNMaskHead:
            setattr(network, name, plain_mask_head(branch))
    if isinstance(network.backbone, FPN):
        _widen(network.backbone)
    return network


class PlainMaskHead(FCNMaskHead):
    """`FCNMaskHead` in 1x1 convolutions and products of matrices, where classes do not compete.

    Of all classes, one is computed.

    Attributes:
        fours: the deconvolution as a 1x1 convolution (R, C, S, S) to (R, 2 2 K, S, S), since it makes four pixels of
            one, each by itself.
    """

    fours: nn.Conv2d

    def forward(self, roi_features: Tensor, labels: Tensor) -> Tensor:
        """Mask logits (R, 2S, 2S), as `MaskHead.forward`."""
        if self.competing:
            return super().forward(roi_features, labels)
        x = self.convs(roi_features)
        regions, _, height, width = x.shape  # no -1 in what follows: of no regions it has no size
        pixels = F.relu(self.fours(x)).view(regions, 4, self.upsample.out_channels, height * width)
        own = self.mask_index(labels)
        assert self.mask_logits.bias is not None
        weight, bias = self.mask_logits.weight[own, :, 0, 0], self.mask_logits.bias[own]
        logits: Tensor = weight[:, None, None] @ pixels + bias[:, None, None, None]  # (R, 4, 1, S S)
        fours = logits.view(regions, 2, 2, height, width).permute(0, 3, 1, 4, 2)
        return fours.reshape(regions, 2 * height, 2 * width)


@torch.no_grad()
def plain_mask_head(head: FCNMaskHead) -> PlainMaskHead:
    """The same head, with the very same parts, in the other form."""
    plain = as_a(PlainMaskHead, head)
    weight, bias = four_layers(head.upsample)
    plain.fours = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    plain.fours.weight, plain.fours.bias = nn.Parameter(weight[..., None, None], False), nn.Parameter(bias, False)
    return plain


def _widen(pyramid: FPN) -> None:
    """Give every layer below the pyramid whole blocks of channels; those that are added are zero.

    ONNX Runtime computes whole blocks in any case, but between layers without them it puts all values into another
    order, and fuses neither additions nor pooling.
    """
    bottom_up = pyramid.bottom_up
    if not isinstance(bottom_up, ResNet | EfficientNetLite0):
        return
    with_weights = [layer for layer in bottom_up.modules() if layer._parameters or layer._buffers]
    first, *others = convs = [layer for layer in with_weights if isinstance(layer, nn.Conv2d)]
    if len(convs) < len(with_weights) or any(conv.groups not in (1, conv.in_channels) for conv in convs):
        return  # group norm, and the groups of ResNeXt, go by the number of channels
    _add_channels(first, 0, -first.out_channels % BLOCK)
    for conv in others:
        _add_channels(conv, -conv.in_channels % BLOCK, -conv.out_channels % BLOCK)
    for layer in pyramid.lateral.modules():
        if isinstance(layer, nn.Conv2d):
            _add_channels(layer, -layer.in_channels % BLOCK, 0)


def _add_channels(conv: nn.Conv2d, inputs: int, outputs: int) -> None:
    """Let a convolution read channels that do not count, and give zeros in others."""
    read = inputs if conv.groups == 1 else 0  # else each output reads its own channel
    assert conv.groups == 1 or inputs == outputs
    with torch.no_grad():
        conv.weight = nn.Parameter(F.pad(conv.weight, (0, 0, 0, 0, 0, read, 0, outputs)), requires_grad=False)
        if conv.bias is not None:
            conv.bias = nn.Parameter(F.pad(conv.bias, (0, outputs)), requires_grad=False)
    conv.groups = conv.groups if conv.groups == 1 else conv.groups + outputs
    conv.in_channels += inputs
    conv.out_channels += outputs
