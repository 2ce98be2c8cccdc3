"""The parts of a loss, by name: every part of the model adds its own."""

from __future__ import annotations

import torch
from torch import Tensor


class Losses(dict[str, Tensor]):
    """Named scalars, each already times its weight: "objectness", "classification", "mask", ..."""

    def total(self) -> Tensor:
        """L = L_cls + L_box + L_mask (section 3), and the RPN's two, and those of all other branches."""
        return torch.stack(list(self.values())).sum()
