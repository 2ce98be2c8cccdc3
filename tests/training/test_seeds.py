from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.acceleration import for_training
from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.models import rpn, sampling
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.rpn import RPN
from maskrcnn.presets import tiny
from maskrcnn.structures import PackedMasks, Proposals, Targets
from maskrcnn.training.seeds import hashed_seed, image_generator, seed_globally

CPU = torch.device("cpu")


def test_an_image_draws_the_same_whatever_came_before() -> None:
    first = torch.rand(4, generator=image_generator(3, 7, 1, CPU))
    torch.rand(100)
    image_generator(3, 7, 0, CPU)
    assert torch.equal(torch.rand(4, generator=image_generator(3, 7, 1, CPU)), first)


def test_the_global_generator_follows_the_step() -> None:
    seed_globally(3, 7)
    first = torch.rand(4)
    seed_globally(3, 7)
    assert torch.equal(torch.rand(4), first)


def test_seeds_steps_and_positions_do_not_collide() -> None:
    seeds = {hashed_seed(seed, step) for seed in range(30) for step in range(100)}
    seeds |= {hashed_seed(seed, step, place) for seed in range(30) for step in range(100) for place in range(3)}
    assert len(seeds) == 30 * 100 * 4  # with seed + step they would
    assert all(0 <= seed < 2**63 for seed in seeds)


# --- what the loss draws --------------------------------------------------------------------------------------------

NUM_IMAGES = 4


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What both samplers have chosen, call after call."""
    seen: list[Tensor] = []
    real = rpn.sample

    def watched(kinds: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
        chosen = real(kinds, *arguments)
        seen.append(torch.cat(chosen))
        return chosen

    monkeypatch.setattr(rpn, "sample", watched)
    monkeypatch.setattr(sampling, "sample", watched)
    return seen


def network() -> MaskRCNN:
    torch.manual_seed(0)
    config: Config = tiny()
    config = replace(
        config,
        input=replace(config.input, min_size=64, max_size=64),
        rpn=replace(config.rpn, samples_per_image=20, pre_nms_top_k_train=100),
        roi=replace(config.roi, samples_per_image=12),
    )
    return for_training(build_model(config, 2)).train()


def draws_of(model: MaskRCNN, passes: Sequence[Sequence[int]], drawn: list[Tensor]) -> dict[int, list[list[int]]]:
    """Anchors and RoIs of each image, by its position in step 5, when the step is taken in these passes."""
    found: dict[int, list[list[int]]] = {}
    torch.manual_seed(0)
    pixels = torch.rand(NUM_IMAGES, 3, 64, 64)
    bitmap = torch.zeros(1, 64, 64, dtype=torch.uint8)
    bitmap[:, 10:40, 20:60] = 1
    targets = Targets(torch.tensor([[20.0, 10, 60, 40]]), torch.tensor([0]), PackedMasks.from_bitmaps(bitmap))
    for positions in passes:
        drawn.clear()
        generators = [image_generator(0, 5, position, CPU) for position in positions]
        model.loss([pixels[position] for position in positions], [targets] * len(positions), generators=generators)
        anchors, rois = drawn[: len(positions)], drawn[len(positions) :]
        for position, *own in zip(positions, anchors, rois, strict=True):
            found[position] = [chosen.tolist() for chosen in own]
    return found


@pytest.mark.parametrize(
    "passes",
    [
        pytest.param([[0, 1], [2, 3]], id="two passes of two"),
        pytest.param([[0, 2], [1, 3]], id="two ranks"),
        pytest.param([[3], [2], [1], [0]], id="each image alone"),
    ],
)
def test_neither_batch_nor_accumulation_nor_ranks_change_a_draw(
    passes: list[list[int]], drawn: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    boxes = torch.rand(100, 2).mul(40).repeat(1, 2) + torch.tensor([0, 0, 20, 20])
    same = Proposals(boxes, torch.zeros(100))  # rounding, another for each batch, may decide which survive NMS
    monkeypatch.setattr(RPN, "select", lambda self, output, batch, limits: [same] * len(batch.sizes))
    together = draws_of(model, [[0, 1, 2, 3]], drawn)
    assert all(len(anchors) == 20 and len(rois) == 12 for anchors, rois in together.values())
    assert together[0][0] != together[1][0], "images must not share their draws"
    assert draws_of(model, passes, drawn) == together
