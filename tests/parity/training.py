"""The training step of a golden case, which uses every anchor and RoI so that nothing is random, taken by our model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from maskrcnn.weights.foreign import import_tensors
from parity.golden import Golden

ROUNDING, DRAWS = 3e-7, 3
"""How the golden files' `sensitivity` was found: so many times, every weight is changed by about so much of itself."""

UNKNOWN = -(2.0**100)
"""In the place of a weight of which nothing is recorded; an import refuses NaN."""


@dataclass(frozen=True)
class Step:
    """What one forward and backward pass leaves, by our names.

    Attributes:
        losses: their values.
        gradients: of every parameter that gets one.
        buffers: running statistics afterwards.
    """

    losses: dict[str, float]
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]


@cache
def training_step(golden: Golden, *, as_trained: bool = False) -> Step:
    """Our step; the model stays as it was.

    Args:
        golden: the case.
        as_trained: with norms in the memory that training has, channels-last; else in that of the libraries' runs.
    """
    return _step(golden, as_trained=as_trained)


def has_live_norms(golden: Golden) -> bool:
    """Whether norms take the statistics of the batch or of the image, which are sums over memory."""
    return any(_takes_statistics(module) for module in golden.model.modules())


def rounding_noise(golden: Golden) -> list[dict[str, Tensor]]:
    """The gradients of the same step once the weights are changed by rounding errors, several times."""
    return [_step(golden, seed).gradients for seed in range(DRAWS)]


def in_our_names(golden: Golden, values: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
    """What belongs to the library's weights of these names, by ours.

    A tensor is imported as the weight itself is, its classes and channels in our order; a number stays a number.
    """
    weights = {name: torch.from_numpy(value) for name, value in golden.case.weights.items()}
    filled = {name: torch.full_like(w, UNKNOWN) if w.is_floating_point() else w for name, w in weights.items()}
    for name, value in values.items():
        filled[name] = value if isinstance(value, Tensor) else torch.full_like(weights[name], value)
    imported = import_tensors(filled, golden.hints).state_dict
    known = {name: t for name, t in imported.items() if t.is_floating_point() and not (t == UNKNOWN).any()}
    numbers = not any(isinstance(value, Tensor) for value in values.values())
    return {name: t.flatten()[0] if numbers else t for name, t in known.items()}


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The norm of the difference, as a share of their norm."""
    return float((ours - theirs).norm() / theirs.norm())


def _step(golden: Golden, noise_seed: int | None = None, *, as_trained: bool = False) -> Step:
    model, batch = golden.model, golden.batch()
    with torch.enable_grad(), _as_recorded(golden, as_trained):
        if noise_seed is not None:
            _add_noise(model, noise_seed)
        losses = model.train().loss(list(batch.pixels), golden.targets())
        losses.total().backward()
        return Step(
            {name: loss.item() for name, loss in losses.items()},
            {name: p.grad for name, p in model.named_parameters() if p.grad is not None},
            {name: buffer.clone() for name, buffer in model.named_buffers()},
        )


@contextmanager
def _as_recorded(golden: Golden, as_trained: bool) -> Iterator[None]:
    """The model with the step's limits, input and proposals.

    The RoIs are made from the library's proposals: rounding may decide which of two near equals survives NMS.
    """
    model, batch, limits = golden.model, golden.batch(), golden.meta["train"]["all"]
    assert model.rpn is not None and model.box_head is not None
    sampler = model.box_head.sampler
    before = model.rpn.samples_per_image, sampler.samples_per_image
    proposals = golden.proposals("train.all.proposals")
    state = {name: value.clone() for name, value in model.state_dict().items()}
    norms = [] if as_trained else [module for module in model.modules() if _takes_statistics(module)]
    hooks = [norm.register_forward_pre_hook(_contiguous) for norm in norms]
    model.rpn.samples_per_image = limits["rpn_batch_size_per_image"]
    sampler.samples_per_image = limits["roi_batch_size_per_image"]
    model.preprocess.batch = lambda images, originals=None, **_: batch  # type: ignore[method-assign]
    model.rpn.select = lambda *arguments: proposals  # type: ignore[method-assign]
    try:
        yield
    finally:
        model.rpn.samples_per_image, sampler.samples_per_image = before
        del model.preprocess.batch, model.rpn.select  # the classes' own come back
        for hook in hooks:
            hook.remove()
        model.zero_grad()
        model.load_state_dict(state)
        model.eval()


def _takes_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d | nn.GroupNorm)


def _contiguous(norm: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """The memory that the libraries ran with.

    Of channels-last memory PyTorch's CPU sums up a batch's statistics in plain float32, of contiguous memory in double:
    the variance then is off by 2e-5, which 50 layers make 2e-2 of a gradient.
    """
    return (inputs[0].contiguous(),)


@torch.no_grad()
def _add_noise(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.mul_(1 + ROUNDING * torch.randn(value.shape, generator=generator))
