"""`maskrcnn doctor`: a report on the installation and the machine, to read and to paste into a bug report."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from importlib import metadata

from maskrcnn.cli.arguments import CommandParser
from maskrcnn.process import settings_state


def main(arguments: Sequence[str]) -> int:
    """Print the report; 1 if something needed is missing."""
    CommandParser("doctor", "Report on this installation and machine.").parse(arguments)
    _say("maskrcnn", metadata.version("maskrcnn"))
    _say("Python", f"{platform.python_version()} ({sys.executable})")
    _say("system", f"{platform.platform()}, {os.cpu_count()} CPUs")
    _say("allocator settings", settings_state())
    missing = _report_packages()
    if missing:
        _say("missing", f"{', '.join(missing)}; install with: pip install {' '.join(missing)}")
        return 1
    _report_devices()
    _report_speed()
    _report_models()
    _report_self_test()
    return 0


def _say(subject: str, fact: str) -> None:
    print(f"{subject:<23} {fact}")


def _report_packages() -> list[str]:
    """Print the version of each dependency, and return those that are not there."""
    missing = []
    for name, optional in _requirements().items():
        try:
            _say(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            _say(name, "not installed (optional)" if optional else "MISSING")
            missing += [] if optional else [name]
    return missing


def _requirements() -> dict[str, bool]:
    """The dependencies the package declares, and whether each is optional; tools for development are left out.

    One that several extras have is there once.
    """
    found: dict[str, bool] = {}
    for requirement in metadata.requires("maskrcnn") or []:
        stated, _, marker = requirement.partition(";")
        if "dev" not in marker:
            name = re.split(r"[^\w.-]", stated.strip())[0]
            found[name] = found.get(name, True) and "extra" in marker
    return found


def _report_devices() -> None:
    import torch

    _say("CPU threads", str(torch.get_num_threads()))
    if not torch.cuda.is_available():
        _say("GPU", "none that this PyTorch can use; --device auto means the CPU")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        _say(f"GPU cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")


def _report_speed() -> None:
    """Of the CPU: what `--precision` may gain there."""
    import torch

    from maskrcnn.benchmark.machine import matrix_peak
    from maskrcnn.devices import PRECISIONS

    peaks = {name: matrix_peak(torch.device("cpu"), PRECISIONS[name]) / 1e9 for name in ("float32", "bfloat16")}
    _say("CPU matrix products", ", ".join(f"{name} {peak:.0f} GFLOP/s" for name, peak in peaks.items()))


def _report_models() -> None:
    from maskrcnn.loading import bundled_models

    _say("models", ", ".join(bundled_models()) or "none bundled")


def _report_self_test() -> None:
    """One step of training and one prediction with a small random model."""
    import torch

    from maskrcnn.build import build_model
    from maskrcnn.presets import preset
    from maskrcnn.structures import Targets

    started = time.perf_counter()
    model, image = build_model(preset("tiny"), 1), torch.rand(3, 64, 64)
    model.loss([image, image], [Targets.empty((64, 64))] * 2).total().backward()
    model.eval().predict([image])
    _say("self-test", f"passed in {time.perf_counter() - started:.2f} s (a training step and a prediction)")
