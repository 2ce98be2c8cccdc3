"""What computes an exported graph: ONNX Runtime or OpenVINO, on the CPU, in float32."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from maskrcnn.errors import UserError
from maskrcnn.files import cache_folder, forget_oldest
from maskrcnn.text import brief, one_line

Arrays = dict[str, Any]

KEEP = 8
"""Graphs that OpenVINO has compiled and that are kept."""


class Engine(Protocol):
    """A graph that is ready to be computed."""

    name: str

    def run(self, feed: Mapping[str, Any]) -> Arrays:
        """The outputs by name, from the inputs by name."""


class OnnxRuntime:
    """The graph in ONNX Runtime.

    Args:
        content: of the .onnx file.
        outputs: what it gives.
        threads: of the CPU.
    """

    name = "onnxruntime"

    def __init__(self, content: bytes, outputs: Sequence[str], threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # it does not read OMP_NUM_THREADS
        options.log_severity_level = 3
        self._outputs = list(outputs)
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(self, feed: Mapping[str, Any]) -> Arrays:
        """The outputs by name."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(feed)), strict=True))


class OpenVino:
    """The graph in OpenVINO.

    Args:
        content: of the .onnx file.
        outputs: what it gives.
        threads: of the CPU.
    """

    name = "openvino"

    def __init__(self, content: bytes, outputs: Sequence[str], threads: int) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # by itself it rounds to bfloat16 where the CPU can
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled = _compiled(content, settings)
        self._outputs = {name: self._compiled.output(name) for name in outputs}

    def run(self, feed: Mapping[str, Any]) -> Arrays:
        """The outputs by name."""
        results = self._compiled(dict(feed))
        return {name: results[port].copy() for name, port in self._outputs.items()}


def _compiled(content: bytes, settings: dict[str, Any]) -> Any:
    """The graph ready for this CPU; compiled before, where that could be kept.

    OpenVINO makes sure that what it finds is whole, of its own version and of this processor, or compiles anew.
    """
    core = openvino_core()
    model = core.read_model(content)
    try:
        folder = cache_folder() / "openvino"
        folder.mkdir(parents=True, exist_ok=True)
        compiled = core.compile_model(model, "CPU", {**settings, "CACHE_DIR": str(folder)})
        forget_oldest(folder, KEEP)
    except (OSError, RuntimeError):  # no such place; what is wrong with the graph comes up again
        return core.compile_model(model, "CPU", settings)
    return compiled


@functools.cache
def openvino_core() -> Any:
    """The one `openvino.Core` of this process, which is never given up.

    On processors with AVX-512 each one gives its thread a stack for signal handlers, and gives the stack from before it
    back when it ends. Two that do not end in reverse order leave a stack that is freed, and the next signal, Ctrl-C for
    one, ends the process by a segmentation fault.
    """
    import openvino

    return openvino.Core()


ENGINES: dict[str, Callable[[bytes, Sequence[str], int], Engine]] = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}
"""The first that is installed is taken."""


def open_engine(where: str, name: str, content: bytes, outputs: Sequence[str], threads: int | None = None) -> Engine:
    """The graph of a file, ready to be computed.

    Args:
        where: the file, for messages.
        name: one of `ENGINES`; "auto": the first that is installed.
        content: of the file.
        outputs: what the graph gives.
        threads: of the CPU; None: OMP_NUM_THREADS, or all there are.

    Raises:
        UserError: no such engine, not installed, or one that refuses the graph.
    """
    chosen = _installed(name)
    try:
        return ENGINES[chosen](content, outputs, threads or default_threads())
    except MemoryError:
        raise
    except Exception as error:  # each engine has exceptions of its own
        raise UserError(f"{where}: {chosen} cannot use this graph: {one_line(str(error), 300)}") from None


def default_threads() -> int:
    """What OMP_NUM_THREADS says, or as many as there are CPUs for this process."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdigit() and int(stated):
        return int(stated)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _installed(name: str) -> str:
    if name in ("auto", "cpu"):
        found = next((engine for engine in ENGINES if find_spec(engine)), None)
        if found is None:
            raise UserError("an .onnx model needs ONNX Runtime or OpenVINO; install one: pip install onnxruntime")
        return found
    if name not in ENGINES:
        raise UserError(f"device: expected auto, {' or '.join(ENGINES)} for an .onnx model, got {brief(name)}")
    if not find_spec(name):
        raise UserError(f"device: {name} is not installed: pip install {name}")
    return name
