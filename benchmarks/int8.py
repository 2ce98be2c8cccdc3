"""An exported model in 8 bits beside the same in float32: seconds an image of 512 x 768 pixels, in turns.

python benchmarks/int8.py [--model MODEL] [--images examples/nuclei_mini/images] [--threads 2] [--runs 5]

Without a model: the preset `light` on its ImageNet backbone, with heads that have learned nothing and find nothing.
Where the processor has VNNI, 8 bits must be at least 1.5 times as fast in one of the engines; elsewhere the figures are
printed alone. Accuracy is what `maskrcnn export --int8` measures.
"""

from __future__ import annotations

import argparse
import re
from importlib.util import find_spec
from pathlib import Path

import cv2
import torch
from benchmarks.exported import seconds

from maskrcnn.build import build_model
from maskrcnn.export.int8 import quantise
from maskrcnn.export.recording import plain_copy
from maskrcnn.export.writing import recorded
from maskrcnn.loading import load_network
from maskrcnn.presets import preset
from maskrcnn.process import begin_with_settings
from maskrcnn.runtime.contract import Contract
from maskrcnn.runtime.engines import ENGINES, open_engine
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.runtime.preprocess import Preprocess
from maskrcnn.sources import collect_sources, source_pixels
from maskrcnn.structures import Categories
from maskrcnn.structures.masks import ByteArray
from maskrcnn.training.initial import read_initial, start_from

HEIGHT, WIDTH = 512, 768
LEAST_GAIN = 1.5
"""Times as fast, with VNNI."""


def light() -> tuple[bytes, Contract]:
    """The preset's network in float32."""
    config, categories = preset("light"), Categories((1,), ("thing",))
    torch.manual_seed(0)
    network = build_model(config, len(categories)).eval()
    start_from(network, read_initial("efficientnet_lite0"), config, categories)
    return recorded(plain_copy(network), config, categories, "light")


def exported(name: str) -> tuple[bytes, Contract]:
    """A model of yours in float32."""
    model = load_network(name, "cpu", accelerate=False)
    return recorded(plain_copy(model.network), model.config, model.categories, name)


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
    parser.add_argument("--model")
    parser.add_argument("--images", default="examples/nuclei_mini/images")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    values = parser.parse_args()
    pictures = (source_pixels(path) for path in collect_sources([values.images]))
    images = [cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for picture in pictures]
    graph = exported(values.model) if values.model else light()
    best = 0.0
    for engine, (exact, small) in gains(*graph, images, values.threads, values.runs).items():
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
