"""A measurement as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from maskrcnn.benchmark.measure import Measurement, StageCost

HEADS = ("stage", "ms", "of time", "GFLOP", "GFLOP/s", "of peak")
NONE = "-"


def format_measurement(measurement: Measurement, title: str) -> str:
    """What was measured on what, the table, and the totals.

    Args:
        measurement: from `measure`.
        title: the name of the model.
    """
    staged = sum(stage.seconds for stage in measurement.stages)
    whole = StageCost("whole", measurement.seconds, measurement.flop)
    rows = [
        HEADS,
        *(stage_cells(stage, staged, measurement.matrix_peak) for stage in measurement.stages),
        stage_cells(whole, measurement.seconds, measurement.matrix_peak),
    ]
    return "\n".join([*_introduction(measurement, title), "", *aligned(rows), "", _totals(measurement)])


def stage_cells(stage: StageCost, staged: float, peak: float) -> tuple[str, ...]:
    """What stands under `HEADS`; `staged` are the seconds of all stages, `peak` is that of the matrix product."""
    time = (stage.name, f"{1e3 * stage.seconds:.1f}", _percent(stage.seconds, staged))
    if not stage.flop or not stage.seconds:
        return (*time, NONE, NONE, NONE)
    speed = stage.flop / stage.seconds
    return (*time, f"{stage.flop / 1e9:.2f}", f"{speed / 1e9:.1f}", _percent(speed, peak))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width; the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def memory_line(before: int | None, peak: int | None) -> str:
    """Peak memory, and how much of it came on top of the loaded model."""
    if before is None or peak is None:
        return "peak memory: this system does not say"
    return f"peak memory {peak / 2**20:.0f} MiB, {(peak - before) / 2**20:.0f} MiB above the loaded model"


def _introduction(measurement: Measurement, title: str) -> list[str]:
    machine, load = measurement.machine, measurement.workload
    device = machine.get("gpu", f"{machine['processor']} ({machine['instructions']}), {machine['threads']} thread(s)")
    sizes = ", ".join(dict.fromkeys(f"{height} x {width}" for *_, height, width in load.batches))
    return [
        f"maskrcnn {machine['maskrcnn']}, torch {machine['torch']}, {device}; "
        f"matrix product {measurement.matrix_peak / 1e9:.0f} GFLOP/s",
        f"{title}: {measurement.num_images} image(s), {measurement.batch_size} at a time, input {sizes}; "
        f"{load.num_proposals} proposals, {load.num_detections} objects; median of {measurement.runs}",
    ]


def _totals(measurement: Measurement) -> str:
    memory = memory_line(measurement.memory_before, measurement.memory_peak)
    return f"{measurement.images_per_second:.2f} images/s; {memory}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else NONE
