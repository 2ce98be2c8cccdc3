"""The convolution part of Mask R-CNN (backbone, pyramid, RPN head), ours beside ONNX Runtime and OpenVINO.

All get the same network with batch norms folded, the same pixels and the same number of threads; results are compared
first; then they take turns (A B C A B C ...). A runtime that is not installed is left out.

    pip install onnxscript onnxruntime openvino
    python benchmarks/convolutions.py [--pairs 5] [--size 800x1216 ...] [--precision float32|bfloat16]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.compare.weights import spread
from torch import Tensor, nn

from maskrcnn.acceleration.folding import fold_batch_norms
from maskrcnn.acceleration.prediction import cast_weights, fuse
from maskrcnn.build import build_model
from maskrcnn.devices import resolve_precision
from maskrcnn.presets import preset
from maskrcnn.process import begin_with_settings
from maskrcnn.runtime.engines import openvino_core

Run = Callable[[Tensor], list[np.ndarray[Any, Any]]]


class ConvolutionPart(nn.Module):
    """Padded pixels to the RPN's logits and deltas of every level, and the levels themselves."""

    def __init__(self, backbone: nn.Module, rpn_head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.rpn_head = backbone, rpn_head

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """A flat tuple, as runtimes want it."""
        features = self.backbone(pixels)
        logits, deltas = self.rpn_head(features)
        return (*features, *logits, *deltas)


def build() -> ConvolutionPart:
    """R50-FPN with random weights under which activations stay bearable."""
    torch.manual_seed(0)
    network = build_model(preset("torchvision"), 80)
    spread(network, {})
    network = fold_batch_norms(network.eval())
    assert network.rpn is not None
    return ConvolutionPart(network.backbone, network.rpn.head).requires_grad_(False)


def ours(part: ConvolutionPart, precision: torch.dtype) -> Run:
    fused = cast_weights(fuse(copy.deepcopy(part)), precision)
    lower = precision != torch.float32

    def run(pixels: Tensor) -> list[np.ndarray[Any, Any]]:
        with torch.autocast("cpu", precision if lower else None, lower, cache_enabled=False):
            results = fused(pixels)
        return [result.float().numpy() for result in results]

    return run


def onnx_runtime(file: str, precision: torch.dtype) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels.contiguous().numpy()})


def openvino(file: str, precision: torch.dtype) -> Run:
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        # Not asked, it takes bfloat16 where the processor has it.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == torch.bfloat16 else "f32",
    }
    compiled = openvino_core().compile_model(file, "CPU", settings)
    return lambda pixels: list(compiled(pixels.contiguous().numpy()).values())


RUNTIMES = {
    "ONNX Runtime": ("onnxruntime", onnx_runtime, {torch.float32}),  # it computes in the precision of the file
    "OpenVINO": ("openvino", openvino, {torch.float32, torch.bfloat16}),
}


def milliseconds(run: Run, pixels: Tensor) -> float:
    start = time.perf_counter()
    run(pixels)
    return 1e3 * (time.perf_counter() - start)


def measure(part: ConvolutionPart, size: tuple[int, int], pairs: int, precision: torch.dtype) -> None:
    """Print a table of one image size."""
    pixels = torch.randn(1, 3, *size).contiguous(memory_format=torch.channels_last)
    runs = {"ours": ours(part, precision)}
    installed = [name for name, (module, _, has) in RUNTIMES.items() if find_spec(module) and precision in has]
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "part.onnx")
        if installed:
            torch.onnx.export(part, (pixels,), file, input_names=["pixels"], dynamo=True, verbose=False)
        runs |= {name: RUNTIMES[name][1](file, precision) for name in installed}
    expected = runs["ours"](pixels)
    apart = {
        name: max(float(abs(a - b).max() / abs(b).max()) for a, b in zip(run(pixels), expected, strict=True))
        for name, run in runs.items()
    }
    times = [[milliseconds(run, pixels) for run in runs.values()] for _ in range(pairs)]
    name = str(precision).removeprefix("torch.")
    print(f"\n{size[0]} x {size[1]} pixels, {name}, {torch.get_num_threads()} threads, {pairs} turns")
    print(f"{'':14} {'ms':>8} {'of ours':>8} {'apart':>9}")
    for column, name in enumerate(runs):
        ratio = statistics.median(row[column] / row[0] for row in times)
        median = statistics.median(row[column] for row in times)
        print(f"{name:14} {median:8.0f} {ratio:8.2f} {apart[name]:9.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--size", action="append", metavar="HEIGHTxWIDTH")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    part = build()
    with torch.no_grad():
        for size in options.size or ["800x1216", "512x768"]:
            height, width = map(int, size.split("x"))
            measure(part, (height, width), options.pairs, resolve_precision(options.precision))


if __name__ == "__main__":
    begin_with_settings()
    main()
