"""An exported model beside the network it was exported from: seconds an image, in turns, and until it is ready.

python benchmarks/exported.py [--model nuclei] [--images examples/nuclei_mini/images] [--threads 2] [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from maskrcnn.export.recording import plain_copy
from maskrcnn.export.writing import recorded, write_exported
from maskrcnn.loading import load_network
from maskrcnn.predictor import Predictor
from maskrcnn.process import begin_with_settings
from maskrcnn.runtime.contract import read_contract
from maskrcnn.runtime.engines import ENGINES, open_engine
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.sources import collect_sources, source_pixels

_READY = """
import sys, time
start = time.perf_counter()
import maskrcnn
maskrcnn.load(*sys.argv[1:])
print(time.perf_counter() - start)
"""


def export(name: str, path: Path) -> None:
    """As `maskrcnn export`, without the comparison."""
    model = load_network(name, "cpu", accelerate=False)
    write_exported(path, *recorded(plain_copy(model.network), model.config, model.categories, name, model.summary))


def ours(name: str, path: Path, threads: int) -> dict[str, Predictor[Any]]:
    """The network and its exported forms, by what computes."""
    torch.set_num_threads(threads)
    models: dict[str, Predictor[Any]] = {"PyTorch": load_network(name, "cpu")}
    contract, content = read_contract(path)
    for engine in filter(find_spec, ENGINES):
        opened = open_engine(str(path), engine, content, contract.outputs, threads)
        models[engine] = ExportedModel(opened, contract)
    return models


def seconds(models: dict[str, Predictor[Any]], images: list[Any], runs: int) -> dict[str, float]:
    """The least time over all images, a turn each, so that a busy machine is unfair to none."""
    best = dict.fromkeys(models, float("inf"))
    for _ in range(runs + 1):  # the first is not better than the others: it prepares
        for name, model in models.items():
            start = time.perf_counter()
            model.predict(images)
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def ready_after(path: Path, engine: str, cache: Path) -> float:
    """Seconds until a new process can predict, with what others have left in the cache."""
    command = [sys.executable, "-c", _READY, str(path), engine]
    return float(subprocess.check_output(command, text=True, env={**os.environ, "MASKRCNN_CACHE": str(cache)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--images", default="examples/nuclei_mini/images")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    values = parser.parse_args()
    images = [source_pixels(path) for path in collect_sources([values.images])]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(values.model, path)
        best = seconds(ours(values.model, path, values.threads), images, values.runs)
        for name, taken in best.items():
            print(f"{name:<12} {taken / len(images):.3f} s an image, {taken / best['PyTorch']:.2f} times PyTorch's")
        for engine in [name for name in best if name in ENGINES]:
            first, *later = (ready_after(path, engine, Path(folder)) for _ in range(4))
            print(f"{engine:<12} imported and loaded in {first:.2f} s the first time, then in {min(later):.2f} s")


if __name__ == "__main__":
    begin_with_settings()
    main()
