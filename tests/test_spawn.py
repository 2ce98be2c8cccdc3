"""Processes that begin anew instead of as copies of their parent, as on Windows and macOS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import multiprocessing, sys
from maskrcnn.cli.main import main

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    sys.exit(main(sys.argv[1:]))
"""


def test_loader_and_command_line_under_spawn(tmp_path: Path) -> None:
    """What goes to a worker can be pickled, and what it needs is made there."""
    (tmp_path / "program.py").write_text(SCRIPT)
    images = Path(__file__).resolve().parents[1] / "examples" / "nuclei_mini"
    labels = images / "instances_val.json"
    settings = (
        "schedule.steps=1",
        "train.batch_size=1",
        "data.num_workers=1",
        "input.min_size=64",
        "input.max_size=64",
    )
    command = [
        *(sys.executable, "program.py", "train", "--preset", "tiny", "--init", "none", "--output", "out"),
        *("--train-annotations", labels, "--images", images / "images", "--device", "cpu"),
        *(part for setting in settings for part in ("--set", setting)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "last.safetensors").is_file()
