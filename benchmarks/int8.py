"""An exported model in 8 bits beside the same in float32: seconds an image of 512 x 768 pixels, in turns.

python benchmarks/int8.py [--model facades] [--images examples/street] [--threads 2] [--runs 20]

The network reads all 512 x 768 pixels, whatever short side the model was trained with. `facades` is a trained `light`,
and the street has objects, so that its heads count as well. Where the processor has VNNI, 8 bits must be at least 1.5
times as fast in one of the engines; elsewhere the figures are printed alone. Accuracy is what `maskrcnn export --int8`
measures.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
from benchmarks.exported import seconds

from maskrcnn.export.int8 import quantise
from maskrcnn.export.recording import plain_copy
from maskrcnn.export.writing import recorded
from maskrcnn.loading import load_network
from maskrcnn.process import begin_with_settings
from maskrcnn.runtime.contract import Contract
from maskrcnn.runtime.engines import ENGINES, open_engine
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.runtime.preprocess import Preprocess
from maskrcnn.sources import collect_sources, source_pixels
from maskrcnn.structures.masks import ByteArray

HEIGHT, WIDTH = 512, 768
LEAST_GAIN = 1.5
"""Times as fast, with VNNI."""


def exported(name: str) -> tuple[bytes, Contract]:
    """A model in float32 that reads pictures of this size as they are."""
    model = load_network(name, "cpu", accelerate=False)
    config = replace(model.config, input=replace(model.config.input, min_size=HEIGHT, max_size=WIDTH))
    return recorded(plain_copy(model.network), config, model.categories, name)


def gains(
    content: bytes, contract: Contract, images: list[ByteArray], threads: int, runs: int
) -> dict[str, tuple[float, float]]:
    """Seconds for all images in float32 and in 8 bits, of each engine that is installed."""
    preprocess = Preprocess(contract.config.input)
    small = quantise(content, (preprocess.prepare([image]).pixels for image in images))
    taken = {}
    for engine in filter(find_spec, ENGINES):
        models = {
            name: ExportedModel(open_engine(name, engine, graph, contract.outputs, threads), contract)
            for name, graph in (("float32", content), ("int8", small))
        }
        best = seconds(models, images, runs)
        taken[engine] = best["float32"], best["int8"]
    return taken


def has_vnni() -> bool:
    """Whether the processor multiplies and adds four bytes at once."""
    try:
        return re.search(r"\bavx(512)?_vnni\b", Path("/proc/cpuinfo").read_text()) is not None
    except OSError:  # not Linux
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="facades")
    parser.add_argument("--images", default="examples/street")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=20)
    values = parser.parse_args()
    pictures = (source_pixels(path) for path in collect_sources([values.images]))
    images = [cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for picture in pictures]
    best = 0.0
    for engine, (exact, small) in gains(*exported(values.model), images, values.threads, values.runs).items():
        print(f"{engine:<12} {exact / len(images):.3f} s an image, in 8 bits {small / len(images):.3f}", end="")
        print(f": {exact / small:.2f} times as fast")
        best = max(best, exact / small)
    if not has_vnni():
        print("this processor has no VNNI, which 8 bits need to be fast")
    elif best < LEAST_GAIN:
        raise SystemExit(f"expected 8 bits to be at least {LEAST_GAIN} times as fast with VNNI, got {best:.2f}")


if __name__ == "__main__":
    begin_with_settings()
    main()
