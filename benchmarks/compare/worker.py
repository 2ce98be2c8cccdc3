"""One side of the comparison as a process: `python -m benchmarks.compare.worker ours|torchvision`.

Requests come on standard input, answers go to standard output; whatever else is printed goes to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys

import torch
from benchmarks.compare.engine import Engine
from benchmarks.compare.protocol import serve

from maskrcnn.benchmark.memory import used_bytes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare.worker")
    parser.add_argument("engine", choices=("ours", "torchvision"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    memory = used_bytes(torch.device(options.device))  # before anything but torch is imported
    if options.threads:
        torch.set_num_threads(options.threads)
    serve(make_engine(options, memory), sys.stdin, answers)


def make_engine(options: argparse.Namespace, memory: int | None) -> Engine:
    """The side that the options name; ends the process where its library does not serve."""
    try:
        if options.engine == "ours":
            from benchmarks.compare.ours import Ours

            return Ours(options.device, memory_at_import=memory)
        from benchmarks.compare.theirs import Theirs, require_compiled_operators

        require_compiled_operators()
        return Theirs(options.device, options.channels_last, memory)
    except (ImportError, RuntimeError) as error:
        sys.exit(f"error: {options.engine} in {sys.executable}: {error}; see benchmarks/compare/__init__.py")


if __name__ == "__main__":
    main()
