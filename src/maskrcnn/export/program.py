"""The dense part of a network (backbone, pyramid, RPN head) as a program of `torch.export`, for AOTInductor and others.

What follows depends on values: which boxes there are. That part cannot be such a program; the .onnx file has it.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.export.recording import plain_copy, quietly
from maskrcnn.export.refusals import require_exportable
from maskrcnn.files import make_folder, write_atomically
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.text import one_line

CLOSE = 1e-4
"""Largest difference of a map, relative to the largest value in it."""


class DensePart(nn.Module):
    """Pixels (N, C, H, W) to maps, finest first, and objectness and deltas of each level, where there is an RPN."""

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.head = None if network.rpn is None else network.rpn.head

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The maps (N, C, h, w), then logits (N, h w A), then deltas (N, h w A, 4)."""
        maps = list(self.backbone(pixels))
        if self.head is None:
            return tuple(maps)
        logits, deltas = self.head(maps)
        return (*maps, *logits, *deltas)


def write_program(
    network: MaskRCNN, config: Config, path: str | PathLike[str], say: Callable[[str], object] = print
) -> None:
    """Write the dense part as a .pt2 file, once it is seen to compute the same for other sizes.

    Such files are for programs that trust them: `torch.export.load` unpickles, and this package never calls it.

    Args:
        network: the textbook's.
        config: its settings.
        path: ends in .pt2.
        say: gets a line when it is done.

    Raises:
        UserError: `torch.export` cannot follow this network, what it makes computes something else, or `path` cannot be
            written.
    """
    require_exportable(network, config)
    make_folder(Path(path).parent)
    dense = DensePart(plain_copy(network)).eval()
    program = _exported(dense, config.input.channels)
    worst = max(_difference(dense, program, (batch, config.input.channels, *size)) for batch, size in _OTHERS)
    if not worst <= CLOSE:
        raise UserError(f"the exported program differs from the network by {worst:.1e}; nothing was written")
    write_atomically(Path(path), lambda partial: _save(program, partial))
    say(f"{path}: the dense part alone; largest difference {worst:.1e}")


def _save(program: torch.export.ExportedProgram, partial: Path) -> None:
    with quietly("torch.export"), partial.open("wb") as file:
        torch.export.save(program, file)


_MADE_WITH = (2, 160, 224)
"""Batch, height and width: no map of theirs has a side of one cell, which would be taken for a rule."""

_OTHERS = ((1, (96, 128)), (3, (128, 256)), (2, (192, 96)))
"""Batch and (height, width), other than those."""


@torch.no_grad()
def _exported(dense: DensePart, channels: int) -> torch.export.ExportedProgram:
    batch, height, width = _MADE_WITH
    dim = torch.export.Dim.DYNAMIC
    try:
        with quietly("torch.export"):
            return torch.export.export(
                dense, (torch.rand(batch, channels, height, width),), dynamic_shapes=({0: dim, 2: dim, 3: dim},)
            )
    except Exception as error:  # of many kinds, none of them promised
        raise UserError(f"torch.export cannot follow this network: {one_line(str(error), 300)}") from None


@torch.no_grad()
def _difference(dense: DensePart, program: torch.export.ExportedProgram, shape: tuple[int, ...]) -> float:
    pixels = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    pairs = zip(dense(pixels), program.module()(pixels), strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1)) for a, b in pairs)
