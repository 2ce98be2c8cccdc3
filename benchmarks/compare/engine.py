"""What both sides have in common: time and memory of their own process."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from benchmarks.compare.scenarios import Scenario

from maskrcnn.benchmark.memory import peak_bytes, used_bytes
from maskrcnn.benchmark.meter import stopwatch


class Engine(ABC):
    """One side, in its own process; its public methods are called over the pipe.

    Args:
        device: where to compute.
        channels_last: the order of the weights in memory, where it is not the library's own decision.
        memory_at_import: bytes that the process took when it had imported torch and nothing else.
    """

    def __init__(self, device: str = "cpu", channels_last: bool = False, memory_at_import: int | None = None) -> None:
        self.device = torch.device(device)
        self.channels_last = channels_last
        self.memory_at_import = memory_at_import
        self.memory_loaded: int | None = None
        self.scenario = Scenario("none")
        self.threshold = 0.0

    def prepare(self, scenario: Mapping[str, Any], weights: str, inputs: str, threshold: float = 0.0) -> None:
        """Load the model and the images; with `threshold`, so many detections remain as the scenario wants."""
        self.scenario, self.threshold = Scenario.from_json(scenario), threshold
        given = torch.load(inputs, weights_only=True)
        self._files: list[str] = given["files"] if self.scenario.from_files else []
        self._load(weights, given)
        self.memory_loaded = used_bytes(self.device)

    def run(self) -> float:
        """Seconds of one run."""
        read = stopwatch(self.device)
        start = read()
        self._step()
        return read() - start

    def memory(self) -> dict[str, int | None]:
        """Bytes: after the import of torch, with model and images loaded, and at most so far."""
        return {"import": self.memory_at_import, "loaded": self.memory_loaded, "peak": peak_bytes(self.device)}

    def versions(self) -> dict[str, str]:
        """Of what computes here."""
        return {"python": platform.python_version(), "torch": torch.__version__, **self._versions()}

    @abstractmethod
    def answer(self, path: str) -> None:
        """Write what one run finds, to be compared: see `agreement`."""

    @abstractmethod
    def stages(self) -> dict[str, float]:
        """Seconds by stage of one run of a prediction."""

    @abstractmethod
    def _load(self, weights: str, inputs: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def _step(self) -> None: ...

    @abstractmethod
    def _versions(self) -> dict[str, str]: ...
