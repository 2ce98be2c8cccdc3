from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskrcnn.config import Config, OptimizerConfig, TrainConfig
from maskrcnn.data.dataset import Sample
from maskrcnn.training.optimizer import SGD
from maskrcnn.training.step import StepReport, accumulate_gradients

Samples = list[Sample]


def step(model: nn.Module, batches: Sequence[Samples], config: Config | None = None) -> StepReport:
    optimizer = SGD([{"params": list(model.parameters())}], lr=0.1, momentum=0.0)
    generators = [torch.Generator() for batch in batches for _ in batch]
    report = accumulate_gradients(model, batches, config or Config(), generators)
    if not report.complaint:
        optimizer.step()
    return report


def gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters()]


def norm_of(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float((tensor**2).sum()) for tensor in tensors))


@pytest.mark.parametrize("split", [[6], [3, 3], [1, 2, 3], [1] * 6])
def test_accumulation_equals_one_big_pass(stand_in: Any, samples: Samples, split: list[int]) -> None:
    torch.manual_seed(0)
    big = stand_in().double()
    small = copy.deepcopy(big)
    rest = iter(samples)
    batches = [[next(rest) for _ in range(size)] for size in split]
    expected, got = step(big, [samples]), step(small, batches)
    for a, b in zip(gradients(big), gradients(small), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    assert got.losses == pytest.approx(expected.losses, rel=1e-6)
    assert got.num_images == 6


def test_the_total_is_the_sum_of_the_parts(stand_in: Any, samples: Samples) -> None:
    losses = dict(step(stand_in(), [samples[:3], samples[3:]]).losses)
    total = losses.pop("total")
    assert losses.keys() == {"objectness", "rpn_box", "classification", "box"}
    assert total == pytest.approx(sum(losses.values()), rel=1e-6)


def test_clipping_limits_the_norm_of_all_gradients_together(stand_in: Any, samples: Samples) -> None:
    model = stand_in()
    report = step(model, [samples], Config(optimizer=OptimizerConfig(clip_norm=0.01)))
    assert report.gradient_norm > 0.01
    assert norm_of(gradients(model)) == pytest.approx(0.01, rel=1e-3)


def test_without_clipping_the_gradients_stay_as_they_are(stand_in: Any, samples: Samples) -> None:
    model = stand_in()
    report = step(model, [samples])
    assert report.gradient_norm == pytest.approx(norm_of(gradients(model)), rel=1e-6)
    assert report.gradient_norm > 0


def test_a_plain_sgd_step(stand_in: Any, samples: Samples) -> None:
    model = stand_in()
    before = model.layer.weight.detach().clone()
    step(model, [samples])
    torch.testing.assert_close(model.layer.weight.detach(), before - 0.1 * model.layer.weight.grad)


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_and_names_the_files(
    stand_in: Any, samples: Samples, poison: str
) -> None:
    class Poisoned(stand_in):  # type: ignore[misc]
        def loss(self, images: Any, targets: Any, **options: Any) -> Any:
            losses = super().loss(images, targets, **options)
            if any(torch.equal(image, samples[4].image) for image in images):
                # sqrt(0) is 0, but its derivative is infinite
                box = losses["box"]
                losses["box"] = box * float("nan") if poison == "loss" else (box * 0).sqrt()
            return losses

    model = Poisoned(norm=True).train()
    before = copy.deepcopy(model.state_dict())
    report = step(model, [samples[:3], samples[3:]])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert "4.png" in report.complaint and "\n" not in report.complaint
    if poison == "loss":
        assert "box=nan" in report.complaint and "objectness" not in report.complaint
        assert "1.png" not in report.complaint  # the other batch was fine
    else:
        assert "gradient norm" in report.complaint


def test_bf16_autocast_is_used_when_asked_for(stand_in: Any, samples: Samples) -> None:
    seen = []

    class Watching(stand_in):  # type: ignore[misc]
        def loss(self, images: Any, targets: Any, **options: Any) -> Any:
            seen.append(self.layer(torch.zeros(1, 12)).dtype)
            return super().loss(images, targets, **options)

    for amp in (False, True):
        step(Watching(), [samples], Config(train=TrainConfig(amp=amp)))
    assert seen == [torch.float32, torch.bfloat16]
