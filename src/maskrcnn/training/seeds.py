"""Random numbers as a function of (seed, step): a resumed run draws what the unbroken one would have."""

from __future__ import annotations

import hashlib

import torch


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The generator for step `step`; the global one is seeded too, for parts that draw from it (dropout)."""
    number = step_seed(seed, step)
    torch.manual_seed(number)
    return torch.Generator(device).manual_seed(number)


def step_seed(seed: int, step: int) -> int:
    """A 63-bit number; a hash, since neighbouring seeds must not give overlapping sequences."""
    digest = hashlib.sha256(f"{seed}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
