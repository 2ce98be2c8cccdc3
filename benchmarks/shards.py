"""Images in shards: what each engine costs beside plain processes, and the seconds of an image to plan with.

python benchmarks/shards.py [--model nuclei] [--images DIR] [--per-core 200] [--cores N] [--turns 3]

Turn by turn, so many copies of the same images are predicted by as many plain processes as cores, each with one thread,
that share the shards of one output, and by Ray, where it is installed, with as many actors. Of both the whole time
counts, and the time after the first row: the rest is the start of Python, PyTorch and Ray, which is paid once however
many images there are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARDS_PER_CORE = 16


def copies(images: Path, number: int, folder: Path) -> Path:
    """So many images by links to those that there are."""
    files = sorted(path for path in images.iterdir() if path.is_file())
    folder.mkdir()
    for count in range(number):
        source = files[count % len(files)]
        (folder / f"{count:06d}{source.suffix}").symlink_to(source.resolve())
    return folder


def predict(model: str, images: Path, output: Path, shards: int, *options: str) -> subprocess.Popen[bytes]:
    arguments = ["predict", str(images), "--model", model, "--output", str(output), "--shards", str(shards), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "maskrcnn", *arguments, "--quiet"], env=environment)


def timed(processes: list[subprocess.Popen[bytes]], output: Path) -> tuple[float, float]:
    """Seconds until all are done, and those of them after the first row."""
    begun, first = time.perf_counter(), None
    while any(process.poll() is None for process in processes):
        if first is None and any(path.stat().st_size for path in output.glob("shards/*-of-*")):
            first = time.perf_counter()
        time.sleep(0.02)
    assert not any(process.returncode for process in processes), "see the message above"
    end = time.perf_counter()
    return end - begun, end - (first or end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--images", type=Path, default=ROOT / "examples/nuclei_mini/images")
    parser.add_argument("--per-core", type=int, default=200, metavar="IMAGES")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=3)
    values = parser.parse_args()
    cores, number = values.cores, values.cores * values.per_core
    shards = cores * SHARDS_PER_CORE
    whole, after_start = [], []
    with tempfile.TemporaryDirectory() as name:
        images = copies(values.images, number, Path(name, "images"))
        for turn in range(1, values.turns + 1):
            plain, engine = Path(name, "plain"), Path(name, "engine")
            ours = timed([predict(values.model, images, plain, shards) for _ in range(cores)], plain)
            each = cores * ours[1] / number
            print(f"turn {turn}: plain {ours[0]:.1f} s, {ours[1]:.1f} after the first row; an image {each:.3f} core s")
            shutil.rmtree(plain)
            if find_spec("ray") is None:
                print("ray is not installed: pip install ray")
                continue
            options = ("--engine", "ray", "--actors", str(cores))
            theirs = timed([predict(values.model, images, engine, shards, *options)], engine)
            print(f"turn {turn}: Ray {theirs[0]:.1f} s, {theirs[1]:.1f} after the first row", flush=True)
            whole.append(theirs[0] / ours[0])
            after_start.append(theirs[1] / ours[1])
            shutil.rmtree(engine)
    if whole:
        print(
            f"{number} images, {cores} cores: Ray takes {statistics.median(whole):.3f} times as long, after the first "
            f"row {statistics.median(after_start):.3f} times"
        )


if __name__ == "__main__":
    main()
