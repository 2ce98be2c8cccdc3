"""`maskrcnn doctor`: a report on the installation and the machine, to read and to paste into a bug report."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata

from maskrcnn.cli.arguments import CommandParser


def main(arguments: Sequence[str]) -> int:
    """Print the report; 1 if something needed is missing."""
    CommandParser("doctor", "Report on this installation and machine.").parse(arguments)
    print(f"maskrcnn      {metadata.version('maskrcnn')}")
    print(f"Python        {platform.python_version()} ({sys.executable})")
    print(f"system        {platform.platform()}, {os.cpu_count()} CPUs")
    missing = _report_packages()
    if missing:
        print(f"missing       {', '.join(missing)}; install with: pip install {' '.join(missing)}")
        return 1
    _report_devices()
    _report_models()
    _report_self_test()
    return 0


def _report_packages() -> list[str]:
    """Print the version of each dependency, and return those that are not there."""
    missing = []
    for name, optional in _requirements():
        try:
            print(f"{name:<13} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            print(f"{name:<13} {'not installed (optional)' if optional else 'MISSING'}")
            missing += [] if optional else [name]
    return missing


def _requirements() -> Iterator[tuple[str, bool]]:
    """The dependencies the package declares, and whether each is optional; tools for development are left out."""
    for requirement in metadata.requires("maskrcnn") or []:
        name, _, marker = requirement.partition(";")
        if "dev" not in marker:
            yield re.split(r"[^\w.-]", name.strip())[0], "extra" in marker


def _report_devices() -> None:
    import torch

    print(f"CPU threads   {torch.get_num_threads()}")
    if not torch.cuda.is_available():
        print("GPU           none that this PyTorch can use; --device auto means the CPU")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        print(f"GPU cuda:{index}    {properties.name}, {properties.total_memory / 2**30:.0f} GiB")


def _report_models() -> None:
    from maskrcnn.predict import bundled_models

    print(f"models        {', '.join(bundled_models()) or 'none bundled'}")


def _report_self_test() -> None:
    """One image through a small random model: loss and prediction."""
    import torch

    from maskrcnn.build import build_model
    from maskrcnn.presets import preset
    from maskrcnn.structures import Targets

    started = time.perf_counter()
    model, image = build_model(preset("tiny"), 1), torch.rand(3, 64, 64)
    model.loss([image, image], [Targets.empty((64, 64))] * 2).total().backward()
    model.eval().predict([image])
    print(f"self-test     passed in {time.perf_counter() - started:.2f} s (one training and one prediction step)")
