"""Measure a model: the whole prediction, then its stages, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.benchmark.arithmetic import Workload, count_arithmetic
from maskrcnn.benchmark.machine import describe_machine, matrix_peak
from maskrcnn.benchmark.memory import peak_bytes, used_bytes
from maskrcnn.benchmark.meter import REST, Call, StageMeter, metered, recorded, stopwatch
from maskrcnn.benchmark.stages import PASTE, stage_names, stages_of
from maskrcnn.errors import UserError
from maskrcnn.model import Model
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.structures import Size

CANDIDATES_PER_DETECTION = 10
"""How many (box, class) pairs pass the threshold for each detection that is kept, as in a crowded photograph."""


@dataclass(frozen=True)
class StageCost:
    """One stage of one pass.

    Attributes:
        name: as in `stages`.
        seconds: median over the runs.
        flop: floating-point operations, a multiplication and an addition being two; 0: none that count.
    """

    name: str
    seconds: float
    flop: float


@dataclass(frozen=True)
class Measurement:
    """What one pass over some images costs.

    Attributes:
        num_images: in a pass.
        batch_size: images at a time.
        workload: what went through the network.
        seconds: median time of a pass, nothing being measured inside it.
        runs: how many passes that is the median of.
        stages: from runs of their own; on a GPU every stage ends with a synchronisation there.
        memory_before: bytes, with the model loaded; None where the system does not say.
        memory_peak: the most until the end, bytes.
        matrix_peak: floating-point operations per second of a matrix product on this device.
        machine: hardware, versions, threads.
    """

    num_images: int
    batch_size: int
    workload: Workload
    seconds: float
    runs: int
    stages: tuple[StageCost, ...]
    memory_before: int | None
    memory_peak: int | None
    matrix_peak: float
    machine: dict[str, str | int]

    @property
    def flop(self) -> float:
        """Of all stages."""
        return sum(stage.flop for stage in self.stages)

    @property
    def images_per_second(self) -> float:
        """By the whole pass."""
        return self.num_images / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Everything, in seconds, bytes and floating-point operations."""
        whole = {"flop": self.flop, "images_per_second": self.images_per_second}
        return asdict(self) | whole


def measure(
    model: Model, images: Sequence[Tensor], *, batch_size: int = 1, runs: int = 5, score_threshold: float | None = None
) -> Measurement:
    """Time passes over all images, each from pixels in memory to masks inside their windows.

    Args:
        model: with an RPN.
        images: (3, h, w) each, uint8 or float in [0, 1].
        batch_size: images per pass through the network.
        runs: whole passes, and as many in which the stages are timed; they take turns.
        score_threshold: as for `predict`; None: so low that as many objects are found as the model keeps.

    Raises:
        UserError: a model without RPN.
    """
    network, read = require_rpn(model.network), stopwatch(model.device)
    before = used_bytes(model.device)
    threshold = crowded_threshold(model, images) if score_threshold is None else score_threshold
    workload = observe(model, images, batch_size, threshold)  # warms up as well
    wholes, passes = [], []
    for _ in range(runs):
        start = read()
        run_pass(model, images, batch_size, threshold)
        wholes.append(read() - start)
        passes.append(staged_pass(model, images, batch_size, threshold))
    peak = peak_bytes(model.device)
    flop = count_arithmetic(model.config, model.categories, workload)
    return Measurement(
        num_images=len(images),
        batch_size=batch_size,
        workload=workload,
        seconds=statistics.median(wholes),
        runs=runs,
        stages=stage_costs([*stage_names(network), REST], passes, flop),
        memory_before=before,
        memory_peak=peak,
        matrix_peak=matrix_peak(model.device, next(network.parameters()).dtype),
        machine=describe_machine(model.device),
    )


def require_rpn(network: MaskRCNN) -> MaskRCNN:
    """The same network.

    Raises:
        UserError: it has none.
    """
    if network.rpn is None:
        raise UserError("benchmark: expected a model with an RPN, got one without (rpn.enabled is false)")
    return network


def synthetic_images(count: int, size: Size, seed: int = 0, channels: int = 3) -> list[Tensor]:
    """Images (C, H, W) uint8 of soft, coloured blobs, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    coarse = [torch.rand(1, channels, -(-size[0] // 16), -(-size[1] // 16), generator=generator) for _ in range(count)]
    return [(255 * F.interpolate(grid, size=size, mode="bilinear")[0]).byte() for grid in coarse]


@torch.inference_mode()
def crowded_threshold(model: Model, images: Sequence[Tensor], max_detections: int | None = None) -> float:
    """The score that `CANDIDATES_PER_DETECTION` (box, class) pairs exceed for each detection that may be kept.

    Random weights and strange images give low scores throughout; with this threshold they cost what a crowded
    photograph costs.

    Args:
        model: with an RPN.
        images: as for `measure`.
        max_detections: per image; None: as the model was trained.
    """
    head = model.network.box_head
    if head is None:
        return 0.0
    with recorded(head, "select") as calls:
        for _ in model.stream(images, score_threshold=1.0):
            pass
    probs = torch.cat([call.arguments[0].float().softmax(dim=1)[:, :-1].flatten() for call in calls])
    candidates = CANDIDATES_PER_DETECTION * (max_detections or head.max_detections) * len(images)
    if candidates >= len(probs):
        return 0.0
    best = probs.topk(candidates + 1).values
    return float(best[-2:].double().mean())  # between two scores, so that rounding decides nothing


def observe(
    model: Model, images: Sequence[Tensor], batch_size: int, threshold: float, max_detections: int | None = None
) -> Workload:
    """What goes through the network in one pass."""
    network = require_rpn(model.network)
    assert network.rpn is not None
    with recorded(network.preprocess, "prepare") as batches, recorded(network.rpn, "select") as selections:
        num_detections = run_pass(model, images, batch_size, threshold, max_detections)
    shapes = tuple(tuple(call.result.pixels.shape) for call in batches)
    return Workload(shapes, _count_proposals(selections), num_detections)


def _count_proposals(selections: Sequence[Call]) -> int:
    return sum(len(proposals) for call in selections for proposals in call.result)


def run_pass(
    model: Model,
    images: Sequence[Tensor],
    batch_size: int,
    threshold: float,
    max_detections: int | None = None,
    meter: StageMeter | None = None,
) -> int:
    """Predict and paste; the number of objects."""
    meter, found = meter or StageMeter(lambda: 0.0), 0
    for prediction in model.stream(images, batch_size, threshold, max_detections):
        found += len(prediction)
        if prediction.has_masks:
            with meter.stage(PASTE):
                prediction.rle()
    return found


def staged_pass(
    model: Model, images: Sequence[Tensor], batch_size: int, threshold: float, max_detections: int | None = None
) -> dict[str, float]:
    """Seconds by stage of one pass."""
    meter = StageMeter(stopwatch(model.device))
    with metered(model.network, stages_of(model.network), meter), meter.stage(REST):
        run_pass(model, images, batch_size, threshold, max_detections, meter)
    return meter.amounts


def stage_costs(
    names: Sequence[str], passes: Sequence[dict[str, float]], flop: dict[str, float]
) -> tuple[StageCost, ...]:
    """The medians by stage, in the order of `names`; a stage that never ran is left out."""
    return tuple(
        StageCost(name, statistics.median(seconds.get(name, 0.0) for seconds in passes), flop.get(name, 0.0))
        for name in names
        if any(name in seconds for seconds in passes)
    )
