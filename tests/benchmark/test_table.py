"""The table, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

from maskrcnn.benchmark.arithmetic import Workload
from maskrcnn.benchmark.measure import Measurement, StageCost
from maskrcnn.benchmark.table import format_measurement

MACHINE: dict[str, str | int] = {
    "processor": "CPU 9",
    "instructions": "AVX2",
    "threads": 2,
    "torch": "2.13",
    "maskrcnn": "1.2",
}
MEASUREMENT = Measurement(
    num_images=2,
    batch_size=1,
    workload=Workload(((1, 3, 800, 1216), (1, 3, 800, 1088)), 2000, 200),
    seconds=0.5,
    runs=5,
    stages=(StageCost("backbone", 0.3, 30e9), StageCost("paste", 0.1, 0.0)),
    memory_before=300 * 2**20,
    memory_peak=512 * 2**20,
    matrix_peak=200e9,
    machine=MACHINE,
)


def test_every_figure() -> None:
    assert format_measurement(MEASUREMENT, "nuclei").splitlines() == [
        "maskrcnn 1.2, torch 2.13, CPU 9 (AVX2), 2 thread(s); matrix product 200 GFLOP/s",
        "nuclei: 2 image(s), 1 at a time, input 800 x 1216, 800 x 1088; 2000 proposals, 200 objects; median of 5",
        "",
        "stage        ms  of time  GFLOP  GFLOP/s  of peak",
        "backbone  300.0   75.0 %  30.00    100.0   50.0 %",
        "paste     100.0   25.0 %      -        -        -",
        "whole     500.0  100.0 %  30.00     60.0   30.0 %",
        "",
        "4.00 images/s; peak memory 512 MiB, 212 MiB above the loaded model",
    ]


def test_what_is_not_known_is_said() -> None:
    silent = replace(MEASUREMENT, memory_before=None, memory_peak=None, machine={**MACHINE, "gpu": "GPU 7"})
    text = format_measurement(silent, "x")
    assert "peak memory: this system does not say" in text and "torch 2.13, GPU 7; matrix" in text
