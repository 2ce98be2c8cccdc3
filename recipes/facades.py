"""Train the model `facades`, measure it, and put it into the package.

    python recipes/facades.py PATH/TO/facades [OUTPUT] [--steps N] [--resume]

PATH/TO/facades holds `images/`, `instances_train.json` (learned from) and `instances_val.json` (measured on at the
end). `--resume --steps N` with a larger N continues.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from bundling import bundle

import maskrcnn
from maskrcnn.process import begin_with_settings

ATTRIBUTION = "building-facade-segmentation, Roboflow / a-hwang, CC BY 4.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=Path("outputs/facades"))
    parser.add_argument("--steps", type=int, default=maskrcnn.preset("facades").schedule.steps)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()

    result = maskrcnn.train(
        settings(options.data, options.steps), options.output, resume=options.resume, init="efficientnet_lite0"
    )
    bundle(result.best, "facades", ATTRIBUTION)
    maskrcnn.evaluate(
        maskrcnn.load("facades"),
        options.data / "instances_val.json",
        options.data / "images",
        options.output / "bundled_evaluation",
    )


def settings(data: Path, steps: int) -> maskrcnn.Config:
    """The preset for these data, evaluated at the end alone."""
    config = maskrcnn.preset("facades")
    return replace(
        config,
        data=replace(config.data, root=str(data)),
        schedule=replace(config.schedule, steps=steps),
        train=replace(config.train, evaluate_every=0),
    )


if __name__ == "__main__":
    begin_with_settings()
    main()
