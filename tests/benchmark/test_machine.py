from __future__ import annotations

import json

import pytest
import torch

from maskrcnn.benchmark import machine
from maskrcnn.benchmark.machine import describe_machine, matrix_peak


def test_the_machine_is_described_in_plain_values() -> None:
    facts = describe_machine(torch.device("cpu"))
    assert facts["torch"] == torch.__version__ and facts["threads"] == torch.get_num_threads()
    assert facts["processor"] and "gpu" not in facts and json.loads(json.dumps(facts)) == facts


def test_the_peak_of_a_small_product_is_a_speed() -> None:
    assert 1e6 < matrix_peak(torch.device("cpu"), side=64) < 1e15


@pytest.mark.parametrize(("speed", "side"), [(1e12, 2048), (60e9, 1024), (0.3e9, 256)])
def test_a_slow_type_is_measured_with_a_small_product(monkeypatch: pytest.MonkeyPatch, speed: float, side: int) -> None:
    """The product after the last would take more than half a second; 2 side³ operations take their time."""
    monkeypatch.setattr(machine, "_seconds_of_product", lambda device, dtype, side: 2 * side**3 / speed)
    monkeypatch.setattr(machine, "_PATIENCE", 0.25)
    assert machine._side_in_time(torch.device("cpu"), torch.bfloat16) == side
    assert matrix_peak(torch.device("cpu"), side=side) == pytest.approx(speed)
