"""The gradients of a step, and what to do when they are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from maskrcnn.config import Config
from maskrcnn.data.dataset import Sample
from maskrcnn.models.mask_rcnn import MaskRCNN


@dataclass(frozen=True)
class StepReport:
    """What one step did.

    Attributes:
        losses: each part and `total`, averaged over the step's images.
        gradient_norm: L2 norm over all gradients, before clipping.
        complaint: empty if all was finite; else what was not and in which files, and the step is to be skipped.
        num_images: images in the step.
    """

    losses: dict[str, float]
    gradient_norm: float
    complaint: str
    num_images: int


def accumulate_gradients(
    model: MaskRCNN, batches: Sequence[Sequence[Sample]], config: Config, generators: Sequence[torch.Generator]
) -> StepReport:
    """The clipped gradients of `batches`; the optimizer may use them, unless something is not finite.

    Each batch weighs as many images as it has, so the gradients are those of one pass over all the images
    (for losses that are means over images).

    Args:
        model: has `loss(images, targets, proposals=..., generators=...)`; in train mode.
        batches: the passes of this step.
        config: for autocast and clipping.
        generators: one per image of the step, in order, which the model draws its samples with.
    """
    statistics = _batch_statistics(model)
    model.zero_grad()
    num_images, rest = sum(len(batch) for batch in batches), iter(generators)
    try:
        parts = [
            _backward(model, batch, config, list(islice(rest, len(batch))), weight=len(batch) / num_images)
            for batch in batches
        ]
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm or math.inf)
        names, values, norm_value = list(parts[0]), *_to_host(parts, norm)
    except BaseException:  # out of memory, say: the model is as it was, so it can be saved
        _restore(statistics)
        raise
    complaint = _complaint(names, values, norm_value, batches)
    if complaint:
        _restore(statistics)
    sums = [math.fsum(column) for column in zip(*values, strict=True)]
    return StepReport(dict(zip(names, sums, strict=True)), norm_value, complaint, num_images)


def _backward(
    model: MaskRCNN,
    batch: Sequence[Sample],
    config: Config,
    generators: Sequence[torch.Generator],
    weight: float,
) -> dict[str, Tensor]:
    """Add the gradients of `weight` times the loss of one batch; return the weighted parts."""
    device = next(model.parameters()).device
    images, targets = [sample.image for sample in batch], [sample.targets for sample in batch]
    proposals = [sample.proposals for sample in batch if sample.proposals is not None] or None
    with torch.autocast(device.type, torch.bfloat16, enabled=config.train.amp):
        losses = model.loss(images, targets, proposals=proposals, generators=generators)
        total = losses.total() * weight
    total.backward()
    parts = {name: value.detach() * weight for name, value in losses.items()}
    return parts | {"total": total.detach()}


def _to_host(parts: Sequence[dict[str, Tensor]], norm: Tensor) -> tuple[list[list[float]], float]:
    """All numbers of a step in one transfer."""
    rows = torch.stack([torch.stack([value.float() for value in part.values()]) for part in parts])
    numbers = torch.cat([rows.flatten(), norm.float().reshape(1)]).tolist()
    width = rows.shape[1]
    return [numbers[i * width : (i + 1) * width] for i in range(len(parts))], numbers[-1]


def _complaint(
    names: Sequence[str], values: Sequence[Sequence[float]], norm: float, batches: Sequence[Sequence[Sample]]
) -> str:
    """Names the loss parts that are not finite and the files of their batch; empty when all is well."""
    for row, batch in zip(values, batches, strict=True):
        bad = [f"{name}={value}" for name, value in zip(names, row, strict=True) if not math.isfinite(value)]
        if bad:
            return f"loss {', '.join(bad)} in {_files(batch)}"
    if not math.isfinite(norm):
        return f"gradient norm {norm} in {', '.join(_files(batch) for batch in batches)}"
    return ""


def _files(batch: Sequence[Sample]) -> str:
    return ", ".join(sample.file_name for sample in batch)


def _batch_statistics(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Batch norm's running buffers with copies of them: a skipped pass has already been mixed into them."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    return [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]


def _restore(statistics: list[tuple[Tensor, Tensor]]) -> None:
    for buffer, copy in statistics:
        buffer.copy_(copy)
