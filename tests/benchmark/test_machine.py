from __future__ import annotations

import json

import torch

from maskrcnn.benchmark.machine import describe_machine, matrix_peak


def test_the_machine_is_described_in_plain_values() -> None:
    facts = describe_machine(torch.device("cpu"))
    assert facts["torch"] == torch.__version__ and facts["threads"] == torch.get_num_threads()
    assert facts["processor"] and "gpu" not in facts and json.loads(json.dumps(facts)) == facts


def test_the_peak_of_a_small_product_is_a_speed() -> None:
    assert 1e6 < matrix_peak(torch.device("cpu"), side=64) < 1e15
