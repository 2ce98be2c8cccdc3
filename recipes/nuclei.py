"""Train the bundled model `nuclei`, measure it, and put it into the package.

    python recipes/nuclei.py PATH/TO/nuclei [OUTPUT] [--resume]

PATH/TO/nuclei holds `images/`, `instances_train.json` (learned from) and `instances_val.json` (which chooses the best
of the evaluated steps). docs/models/nuclei.md says what came out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from bundling import bundle

import maskrcnn
from maskrcnn.process import begin_with_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=Path("outputs/nuclei"))
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()

    config = maskrcnn.preset("nuclei")
    config = replace(config, data=replace(config.data, root=str(options.data)))
    result = maskrcnn.train(config, options.output, resume=options.resume)
    bundle(result.best, "nuclei")
    maskrcnn.evaluate(
        maskrcnn.load("nuclei"),
        options.data / "instances_val.json",
        options.data / "images",
        options.output / "bundled_evaluation",
    )


if __name__ == "__main__":
    begin_with_settings()
    main()
