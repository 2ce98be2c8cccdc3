"""A network and an optimizer of the user's own, in the place of those that the settings name."""

from __future__ import annotations

from dataclasses import replace

import torch

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.structures import Categories


def require_usable(network: MaskRCNN | None, optimizer: torch.optim.Optimizer | None) -> None:
    """See that the optimizer changes this network.

    Raises:
        UserError: it has parameters that are not the network's, or there is no network.
    """
    if optimizer is None:
        return
    if network is None:
        raise UserError("optimizer: expected one over the parameters of `network`, got no network; give both")
    known = {id(parameter) for parameter in network.parameters()}
    if any(id(parameter) not in known for group in optimizer.param_groups for parameter in group["params"]):
        raise UserError("optimizer: expected parameters of `network` alone; make it from network.parameters()")


def require_classes(network: MaskRCNN, categories: Categories) -> None:
    """See that the network tells as many classes apart as there are in the data."""
    if network.box_head is not None and network.box_head.num_classes != len(categories):
        raise UserError(
            f"network: expected one for the {len(categories)} class(es) of the training data, "
            f"got one for {network.box_head.num_classes}"
        )


def with_its_learning_rate(config: Config, optimizer: torch.optim.Optimizer) -> Config:
    """`config` with the optimizer's own learning rate, that of its first group, for the batches that it trains with.

    The schedule then changes the rates of all groups, which keep their proportions (`lr_scale`).
    """
    first = optimizer.param_groups[0]["lr"]
    for group in optimizer.param_groups:
        group["lr_scale"] = group["lr"] / first
    images = config.train.batch_size * config.train.accumulate
    return replace(config, optimizer=replace(config.optimizer, lr=float(first), reference_batch_size=images))
