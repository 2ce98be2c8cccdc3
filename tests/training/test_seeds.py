from __future__ import annotations

import torch

from maskrcnn.training.seeds import step_generator, step_seed

CPU = torch.device("cpu")


def test_a_step_draws_the_same_whatever_came_before() -> None:
    first = torch.rand(4, generator=step_generator(3, 7, CPU))
    torch.rand(100)
    assert torch.equal(torch.rand(4, generator=step_generator(3, 7, CPU)), first)


def test_the_global_generator_follows_too() -> None:
    step_generator(3, 7, CPU)
    first = torch.rand(4)
    step_generator(3, 7, CPU)
    assert torch.equal(torch.rand(4), first)


def test_seeds_and_steps_do_not_collide() -> None:
    seeds = {step_seed(seed, step) for seed in range(30) for step in range(300)}
    assert len(seeds) == 30 * 300  # with seed + step they would
    assert all(0 <= seed < 2**63 for seed in seeds)
