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
from maskrcnn.ops.counts import counted_over_ranks
from maskrcnn.structures import Size
from maskrcnn.structures.size import padded_size
from maskrcnn.training.distributed import ALONE, Ranks


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
    model: MaskRCNN,
    batches: Sequence[Sequence[Sample]],
    config: Config,
    generators: Sequence[torch.Generator],
    ranks: Ranks = ALONE,
) -> StepReport:
    """The clipped gradients of `batches`; the optimizer may use them, unless something is not finite.

    Each batch weighs as many images as it has, so the gradients are those of one pass over all the images
    (for losses that are means over images).

    Args:
        model: has `loss(images, targets, proposals=..., generators=...)`; in train mode.
        batches: the passes of this step.
        config: for autocast and clipping.
        generators: one per image of the step, in order, which the model draws its samples with.
        ranks: those that share the batches; the gradients and losses are those of all of them.
    """
    statistics = _batch_statistics(model)
    model.zero_grad()
    num_images, rest = sum(len(batch) for batch in batches), iter(generators)
    try:
        parts = [
            _backward(model, batch, config, list(islice(rest, len(batch))), len(batch) / num_images, ranks)
            for batch in batches
        ]
        ranks.add_gradients(model)
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm or math.inf)
        names, values, norm_value = list(parts[0]), *_to_host(parts, norm, ranks)
    except BaseException:  # out of memory, say: the model is as it was, so it can be saved
        _restore(statistics)
        raise
    complaint = _complaint(names, values, norm_value, batches, ranks)
    if complaint:
        _restore(statistics)
    sums = [math.fsum(column) for column in zip(*values, strict=True)]
    return StepReport(dict(zip(names, sums, strict=True)), norm_value, complaint, num_images * ranks.world)


def _backward(
    model: MaskRCNN,
    batch: Sequence[Sample],
    config: Config,
    generators: Sequence[torch.Generator],
    weight: float,
    ranks: Ranks,
) -> dict[str, Tensor]:
    """Add the gradients of `weight` times the loss of one batch; return the weighted parts."""
    device = next(model.parameters()).device
    images, targets = [sample.image for sample in batch], [sample.targets for sample in batch]
    proposals = [sample.proposals for sample in batch if sample.proposals is not None] or None
    with torch.autocast(device.type, torch.bfloat16, enabled=config.train.amp):
        with counted_over_ranks(ranks.total if ranks.world > 1 else None):
            common = _common_size(model, images, ranks)
            losses = model.loss(images, targets, proposals=proposals, generators=generators, **common)
        total = losses.total() * weight
    total.backward()
    parts = {name: value.detach() * weight for name, value in losses.items()}
    return parts | {"total": total.detach()}


def _common_size(model: MaskRCNN, images: Sequence[Tensor], ranks: Ranks) -> dict[str, Size]:
    """Padding changes what convolutions see at the edge, so all ranks pad as one process with all images would."""
    if ranks.world == 1:
        return {}
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    return {"padded": ranks.largest(padded_size(sizes, model.preprocess.size_divisor))}


def _to_host(parts: Sequence[dict[str, Tensor]], norm: Tensor, ranks: Ranks) -> tuple[list[list[float]], float]:
    """All numbers of a step in one transfer; each is the sum over ranks, which have divided by common counts."""
    rows = torch.stack([torch.stack([value.float() for value in part.values()]) for part in parts])
    rows = ranks.add_up(rows)
    numbers = torch.cat([rows.flatten(), norm.float().reshape(1)]).tolist()
    width = rows.shape[1]
    return [numbers[i * width : (i + 1) * width] for i in range(len(parts))], numbers[-1]


def _complaint(
    names: Sequence[str],
    values: Sequence[Sequence[float]],
    norm: float,
    batches: Sequence[Sequence[Sample]],
    ranks: Ranks,
) -> str:
    """Names the loss parts that are not finite and the files of their batch; empty when all is well."""
    for row, batch in zip(values, batches, strict=True):
        bad = [f"{name}={value}" for name, value in zip(names, row, strict=True) if not math.isfinite(value)]
        if bad:
            return f"loss {', '.join(bad)} in {', '.join(ranks.gathered(_files(batch)))}"
    if not math.isfinite(norm):
        files = ranks.gathered(", ".join(_files(batch) for batch in batches))
        return f"gradient norm {norm} in {', '.join(files)}"
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
