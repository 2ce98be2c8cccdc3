"""Random numbers as a function of (seed, step, position): a resumed run draws what the unbroken one would have."""

from __future__ import annotations

import hashlib

import torch


def image_generator(seed: int, step: int, position: int, device: torch.device) -> torch.Generator:
    """What the loss draws with for one image: neither its neighbours in the batch nor the number of ranks change it.

    Args:
        seed: of the run.
        step: 0 is the first.
        position: of the image among all images of the step, over all its passes and ranks.
        device: where the numbers are drawn.
    """
    return torch.Generator(device).manual_seed(hashed_seed(seed, step, position))


def seed_globally(seed: int, step: int) -> None:
    """Seed torch's global generators for a step, for parts that draw from them (dropout)."""
    torch.manual_seed(hashed_seed(seed, step))


def hashed_seed(*numbers: int) -> int:
    """A 63-bit number; a hash, since neighbouring seeds must not give overlapping sequences."""
    digest = hashlib.sha256("/".join(map(str, numbers)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
