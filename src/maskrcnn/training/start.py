"""What a run starts with: the model, its first weights, the optimizer."""

from __future__ import annotations

from collections.abc import Callable

import torch

from maskrcnn.acceleration import for_training
from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.structures import Categories
from maskrcnn.training.distributed import Ranks, with_shared_statistics
from maskrcnn.training.ema import EMA
from maskrcnn.training.given import require_classes
from maskrcnn.training.initial import Initial, start_from
from maskrcnn.training.optimizer import build_optimizer
from maskrcnn.training.state import TrainingState


def fresh_state(
    config: Config,
    categories: Categories,
    ranks: Ranks,
    initial: Initial | None,
    say: Callable[[str], None],
    network: MaskRCNN | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> TrainingState:
    """A model with given weights, or with random ones that depend on the seed alone, and what trains it.

    `network` and `optimizer` are the user's own, if given. All of the `ranks` get the same.
    """
    torch.manual_seed(config.train.seed)
    model = build_model(config, len(categories), categories.num_keypoints) if network is None else network
    require_classes(model, categories)
    if initial is not None:
        say(start_from(model, initial, config, categories))
    model = for_training(model).to(ranks.device).train()
    with_shared_statistics(model, ranks)
    steps = build_optimizer(model, config.optimizer) if optimizer is None else optimizer
    ema = EMA(model, config.train.ema_decay) if config.train.ema_decay > 0 else None
    return TrainingState(model, steps, ema)
