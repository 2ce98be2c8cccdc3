"""Models that cannot be written as one graph, and why, in one line each."""

from __future__ import annotations

from maskrcnn.acceleration import prepared_for
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.branches import DenseBranch, RoIBranch
from maskrcnn.models.fpn import FPN
from maskrcnn.models.keypoint_head import KeypointHead
from maskrcnn.models.mask_head import MaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.semantic_head import SemanticHead
from maskrcnn.ops.roi_align import roi_align

BRANCHES: dict[str, type[RoIBranch] | type[DenseBranch]] = {
    "mask_head": MaskHead,
    "keypoint_head": KeypointHead,
    "semantic_head": SemanticHead,
}
"""Those whose answers have a place among the graph's outputs."""


def require_exportable(network: MaskRCNN, config: Config) -> None:
    """See that a network can be written as a graph.

    Raises:
        UserError: it cannot, and why.
    """
    if prepared_for(network) is not None:
        raise UserError("this network is made ready for prediction or training; load the model with accelerate=False")
    if network.rpn is None and network.box_head is not None:
        raise UserError("export: a model without RPN (Fast R-CNN, R-CNN) is not exported: its boxes come from outside")
    for name, branch in {**network.roi_branches, **network.dense_branches}.items():
        if name not in BRANCHES or not isinstance(branch, BRANCHES[name]):
            raise UserError(
                f"export: the branch {name} has no form in the graph; those that have: {', '.join(BRANCHES)}"
            )
    heads = [network.box_head, *network.roi_branches.values()]
    for pooler in (head.pooler for head in heads if head is not None):
        _require_onnx_form(pooler)
    _require_padding(network, config)


def _require_onnx_form(pooler: RoIPooler) -> None:
    if pooler.operator is not roi_align or pooler.options.reduce != "mean":
        raise UserError(
            "export: expected RoIAlign with averages (roi.operator align, roi.reduce mean), since ONNX has neither "
            "RoIPool's nor RoIWarp's rounding, nor the largest sample of a bin"
        )


def _require_padding(network: MaskRCNN, config: Config) -> None:
    """Where maps are added or compared cell by cell, each has to be exactly half as large as the one before."""
    if not isinstance(network.backbone, FPN) and not network.dense_branches:
        return
    coarsest = 32
    if config.input.size_divisor % coarsest:
        raise UserError(
            f"export: expected input.size_divisor to be a multiple of {coarsest}, got {config.input.size_divisor}"
        )
