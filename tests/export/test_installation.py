"""An environment without PyTorch, made as docs/export.md says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from export.exported import noise

ROOT = Path(__file__).parents[2]
MOST_BYTES = 350 * 2**20
TOOLS = ("pip", "setuptools", "pkg_resources")
"""They made the environment and are not needed in it."""


@pytest.mark.slow
def test_from_an_empty_environment_to_a_picture(exported: Path, tmp_path: Path) -> None:
    """Not in this process's environment: nothing of it is on the path."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python, image = tmp_path / "venv/bin/python", tmp_path / "image.png"
    Image.fromarray(noise(50, 80)).save(image)
    for arguments in (("-r", ROOT / "requirements-runtime.txt"), ("--no-deps", ROOT)):
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", *arguments], check=True)
    absent = subprocess.run([python, "-I", "-c", "import torch"], capture_output=True)
    assert absent.returncode != 0
    command = [tmp_path / "venv/bin/maskrcnn", "predict", image, "--model", exported, "--output", tmp_path / "out"]
    done = subprocess.run(
        [*command, "--score-threshold", "0.3"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/image.png").exists() and (tmp_path / "out/predictions.json").exists()
    (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    needed = [path for path in packages.rglob("*") if path.relative_to(packages).parts[0] not in TOOLS]
    size = sum(path.stat().st_size for path in needed if path.is_file())
    print(f"{size / 2**20:.0f} MiB")
    assert size < MOST_BYTES
