"""What a slide of 20,000 x 20,000 pixels with some 10,000 nuclei takes: memory and time of evaluate, check and train.

    python benchmarks/slide.py PATH/TO/nuclei [--output slide] [--objects 10000] [--commands evaluate check train]

Copies of an enlarged picture (see `mosaic.py`) lie at random places of a sparse TIFF in tiles of 512 pixels, with their
labels as run lengths. Each command runs on the slide and on the picture alone, in a process of its own; the peak of the
first less that of the second is what the slide takes above the model and the libraries. Needs rasterio and tifffile.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import maskrcnn
from maskrcnn.config import Augmentation
from maskrcnn.data.coco import read_coco
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.structures import Size
from mosaic import entries, write_labels

SIDE = 20_000

COMMANDS = {
    "evaluate": ["evaluate", "--model", "nuclei", "--annotations", "instances_train.json", "--output", "results"],
    "check": ["check", ".", "--preset", "nuclei", "--output", "checked"],
    "train": [
        "train",
        "--data",
        ".",
        "--preset",
        "nuclei",
        "--init",
        "none",
        "--output",
        "run",
        "--set",
        "schedule.steps=3",
    ],
}


def fullest(data: Path) -> Sample:
    """The picture of 256 x 320 pixels with most nuclei, as the model enlarges it."""
    labelled = read_coco(data / "instances_val.json", data / "images")
    counts = labelled.labels.first_object.diff().tolist()
    sizes = labelled.labels.image_sizes.tolist()
    number = max((n for n in range(len(counts)) if sizes[n] == [256, 320]), key=counts.__getitem__)
    settings = maskrcnn.load("nuclei", device="cpu").config.input
    return CocoDataset(labelled, Augmentation(horizontal_flip=0.0), settings)[number]


def places(size: Size, count: int) -> list[tuple[int, int]]:
    """(x, y) of so many copies that do not touch, on a grid of cells, each moved inside its cell."""
    rng, (height, width) = np.random.default_rng(0), size
    across, down = SIDE // (width + 300), SIDE // (height + 300)
    cells = rng.choice(across * down, count, replace=False)
    moves = rng.integers(20, 280, (count, 2))
    return [
        (int(cell % across * (width + 300) + dx), int(cell // across * (height + 300) + dy))
        for cell, (dx, dy) in zip(cells, moves, strict=True)
    ]


def write(sample: Sample, folder: Path, objects: int) -> None:
    """`slide/` and `picture/`, each with its labels."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.windows import Window

    for name in ("slide", "picture"):
        (folder / name / "images").mkdir(parents=True, exist_ok=True)
    height, width = sample.image.shape[1:]
    Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(folder / "picture" / "images" / "picture.png")
    one = [{"id": 1, "file_name": "picture.png", "height": height, "width": width}]
    write_labels(folder / "picture" / "instances_train.json", one, list(entries(sample, 1, 0, 0, (height, width), 1)))
    form: dict[str, Any] = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "SPARSE_OK": True}
    labels: list[dict[str, Any]] = []
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    with rasterio.open(folder / "slide" / "images" / "slide.tif", "w", **form, **tiles, photometric="RGB") as file:
        for x, y in places((height, width), max(objects // len(sample.targets.boxes), 1)):
            file.write(sample.image.numpy(), window=Window(x, y, width, height))
            labels += entries(sample, 1, x, y, (SIDE, SIDE), len(labels) + 1)
    images = [{"id": 1, "file_name": "slide.tif", "height": SIDE, "width": SIDE}]
    write_labels(folder / "slide" / "instances_train.json", images, labels)
    print(f"{len(labels)} objects, {(folder / 'slide' / 'images' / 'slide.tif').stat().st_size / 2**20:.0f} MiB")


def measure(command: list[str], folder: Path) -> tuple[int, float, str]:
    """Peak of resident memory in MiB, processor seconds, and the last line."""
    before, started, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "maskrcnn", *command], cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            peak = max(peak, _peak(process.pid))
            time.sleep(0.05)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    lines = [line for line in (folder / "output.txt").read_text().splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("mask")), lines[-1] if lines else "")
    if process.returncode:
        said = f"ended with {process.returncode}: " + " / ".join(lines[-3:])
    return peak, seconds, f"{time.monotonic() - started:.0f} s; {said}"


def _peak(pid: int) -> int:
    """MiB that a process has had at most; its `ru_maxrss` would count what this one had when it was started."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=Path("slide"))
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--commands", nargs="+", choices=tuple(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args()
    write(fullest(options.data), options.output, options.objects)
    for name in options.commands:
        for part in ("picture", "slide"):
            shutil.rmtree(options.output / part / "run", ignore_errors=True)
        (alone, _, _), (peak, seconds, said) = (
            measure(COMMANDS[name], options.output / part) for part in ("picture", "slide")
        )
        print(f"{name:8} {peak - alone} MiB above the picture's {alone}, {seconds:.0f} processor seconds, {said}")


if __name__ == "__main__":
    main()
