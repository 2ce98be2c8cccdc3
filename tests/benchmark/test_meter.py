"""Charging to stages: nothing twice, nothing lost, and the network as it was afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maskrcnn.benchmark.meter import REST, Stage, StageMeter, metered, recorded, stopwatch


class Counter:
    """A meter that the test turns by hand."""

    def __init__(self) -> None:
        self.value = 100.0

    def __call__(self) -> float:
        return self.value


class Part(nn.Module):
    def __init__(self, counter: Counter, cost: float, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.counter, self.cost, self.inner = counter, cost, inner

    def forward(self, x: int) -> int:
        self.counter.value += self.cost
        x = x if self.inner is None else self.inner(x)
        self.counter.value += self.cost
        return x + 1

    def select(self, x: int, *, scale: int) -> int:
        self.counter.value += 1000
        return x * scale


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_what_is_nested_counts_for_the_innermost_stage_alone(counter: Counter) -> None:
    meter = StageMeter(counter)
    network = Part(counter, 10, inner=Part(counter, 1))
    stages = [Stage("inner", "inner"), Stage("outer", ""), Stage("select", "", "select"), Stage("absent", "a.b")]
    counter.value += 7  # outside of all stages
    with metered(network, stages, meter), meter.stage(REST):
        counter.value += 5
        assert network(1) == 3 and network(1) == 3
        assert network.select(4, scale=3) == 12
        counter.value += 0.5
    assert meter.amounts == {"inner": 4, "outer": 40, "select": 1000, REST: 5.5}
    network(1)
    assert meter.amounts["outer"] == 40, "the network is as it was before"
    assert not {"forward", "select"} & set(vars(network))


def test_a_stage_that_fails_is_charged_and_left(counter: Counter) -> None:
    meter = StageMeter(counter)
    with meter.stage("a"):
        with pytest.raises(ValueError), meter.stage("b"):
            counter.value += 2
            raise ValueError
        counter.value += 3
    assert meter.amounts == {"b": 2, "a": 3}


def test_a_replacement_that_was_there_before_comes_back(counter: Counter) -> None:
    part = Part(counter, 1)
    part.forward = lambda x: -x  # type: ignore[method-assign, assignment]
    with recorded(part) as calls:
        assert part(3) == -3
    assert [(call.arguments, call.result) for call in calls] == [((3,), -3)]
    assert part(5) == -5 and len(calls) == 1


def test_one_method_in_two_hands(counter: Counter) -> None:
    """Measuring while recording."""
    part, meter = Part(counter, 2), StageMeter(counter)
    with recorded(part) as calls, metered(part, [Stage("a", "")], meter):
        part(1)
    assert len(calls) == 1 and meter.amounts == {"a": 4}


def test_a_stopwatch_does_not_go_back() -> None:
    read = stopwatch(torch.device("cpu"))
    assert read() <= read()
