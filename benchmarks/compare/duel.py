"""One scenario, all contenders: compared first, then timed turn by turn."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from benchmarks.compare.agreement import compare
from benchmarks.compare.protocol import Worker, WorkerError
from benchmarks.compare.scenarios import Scenario

from maskrcnn.process import SETTINGS

STAGED_RUNS = 3


@dataclass(frozen=True)
class Contender:
    """A way to run the model.

    Attributes:
        name: in the tables.
        engine: "ours" or "torchvision".
        python: the interpreter of its environment.
        environment: variables for the process.
        options: further ones of `worker`.
    """

    name: str
    engine: str = "ours"
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What all contenders share.

    Attributes:
        pairs: turns.
        threads: of the CPU.
        device: of torch.
    """

    pairs: int
    threads: int
    device: str


def contenders(torchvision_python: Path | None) -> list[Contender]:
    """Ours, and torchvision as it is installed and at its best, if there is one."""
    ours = [Contender("ours", environment=SETTINGS)]  # as the command line sets it
    if torchvision_python is None:
        return ours
    python = str(torchvision_python)
    return [
        *ours,
        Contender("torchvision", "torchvision", python),
        Contender("torchvision, tuned", "torchvision", python, SETTINGS, ("--channels-last",)),
    ]


def start(contender: Contender, settings: Settings) -> Worker:
    """Its process."""
    command = [contender.python, "-m", "benchmarks.compare.worker", contender.engine, *contender.options]
    command += ["--threads", str(settings.threads), "--device", settings.device]
    threads = {"OMP_NUM_THREADS": str(settings.threads)}
    return Worker(contender.name, command, {**threads, **contender.environment})


def measure_scenario(
    scenario: Scenario, rivals: Sequence[Contender], settings: Settings, folder: Path
) -> dict[str, Any]:
    """Everything that is to be known of one scenario.

    Args:
        scenario: what to run.
        rivals: the first is ours, and the second is compared with it; the others are the second in other circumstances.
        settings: see there.
        folder: for weights and images.

    Raises:
        WorkerError: a process failed, or the sides do not find the same.
    """
    rivals = rivals[:1] if scenario.alone else rivals
    facts, prepared = _check(scenario, rivals, settings, folder)
    with ExitStack() as processes:
        workers = [processes.enter_context(start(rival, settings)) for rival in rivals]
        for rival, worker in zip(rivals, workers, strict=True):
            worker.call("prepare", **prepared[rival.engine])
            worker.call("run")  # warms up
        turns = [[worker.call("run") for worker in workers] for _ in range(settings.pairs)]
        rows = [
            {
                "name": rival.name,
                "seconds": list(seconds),
                "memory": worker.call("memory"),
                "stages": _median_stages(worker, scenario),
                "versions": worker.call("versions"),
            }
            for rival, worker, seconds in zip(rivals, workers, zip(*turns, strict=True), strict=True)
        ]
    return {"scenario": asdict(scenario), **facts, "contenders": rows}


def _check(
    scenario: Scenario, rivals: Sequence[Contender], settings: Settings, folder: Path
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Make weights and inputs, and compare what both sides find; in processes that are not timed.

    Returns:
        What is known of the scenario, and by engine the arguments of `prepare`.
    """
    plan, inputs = asdict(scenario), str(folder / "inputs.pt")
    files = {"ours": str(folder / "ours.safetensors"), "torchvision": str(folder / "torchvision.pth")}
    prepared = {engine: {"scenario": plan, "weights": file, "inputs": inputs} for engine, file in files.items()}
    facts: dict[str, Any] = {"arithmetic": None, "agreement": None}
    with ExitStack() as processes:
        ours, *others = (processes.enter_context(start(rival, settings)) for rival in rivals[:2])
        ours.call("make_inputs", scenario=plan, path=inputs)
        if rivals[-1].engine == "ours":
            ours.call("make_weights", scenario=plan, path=files["ours"])
        else:
            others[0].call("make_weights", scenario=plan, path=files["torchvision"])
            ours.call("adopt", scenario=plan, source=files["torchvision"], path=files["ours"])
        ours.call("prepare", **prepared["ours"])
        if scenario.kind == "predict":
            threshold = ours.call("calibrate")
            prepared = {engine: {**values, "threshold": threshold} for engine, values in prepared.items()}
            ours.call("prepare", **prepared["ours"])
            facts["arithmetic"] = ours.call("arithmetic")
            _require_detections(scenario, facts["arithmetic"])
        facts["machine"] = ours.call("machine")
        for rival, other in zip(rivals[1:], others, strict=False):
            other.call("prepare", **prepared[rival.engine])
            facts["agreement"] = _agree(ours, other, folder)
        if scenario.preset:
            _take_preset(scenario, ours, prepared, facts)
    return facts, prepared


def _take_preset(scenario: Scenario, ours: Worker, prepared: dict[str, dict[str, Any]], facts: dict[str, Any]) -> None:
    """From here on ours is another network, with a threshold of its own for as many detections."""
    own = {name: value for name, value in prepared["ours"].items() if name != "threshold"}
    ours.call("make_weights", scenario=own["scenario"], path=own["weights"])
    ours.call("prepare", **own)
    prepared["ours"] = {**own, "threshold": ours.call("calibrate")}
    ours.call("prepare", **prepared["ours"])
    facts["arithmetic"] = ours.call("arithmetic")
    _require_detections(scenario, facts["arithmetic"])


def _require_detections(scenario: Scenario, arithmetic: Mapping[str, Any]) -> None:
    wanted = scenario.detections * scenario.images
    if arithmetic["detections"] != wanted:
        raise WorkerError(f"{scenario.name}: expected {wanted} detections, got {arithmetic['detections']}")


def _agree(ours: Worker, theirs: Worker, folder: Path) -> str:
    paths = {worker.name: folder / f"answer-{number}.pt" for number, worker in enumerate((ours, theirs))}
    for worker in (ours, theirs):
        worker.call("answer", path=str(paths[worker.name]))
    agreement = compare(*(torch.load(path, weights_only=True) for path in paths.values()))
    if not agreement.suffices:
        raise WorkerError(f"{ours.name} and {theirs.name} do not find the same: {agreement.summary}; nothing was timed")
    return agreement.summary


def _median_stages(worker: Worker, scenario: Scenario) -> dict[str, float]:
    """Seconds by stage; nothing for a training step."""
    if scenario.kind != "predict":
        return {}
    passes = [worker.call("stages") for _ in range(STAGED_RUNS)]
    return {name: statistics.median(seconds.get(name, 0.0) for seconds in passes) for name in passes[0]}
