"""Objects from FCN and connected parts against Mask R-CNN, with equal processor time.

    python -m benchmarks.ablations.touching --data PATH/TO/nuclei --preset nuclei --seeds 3 --output outputs/touching

Both learn from the same random weights of the same backbone, the same crops and the same seeds. Each step's processor
time is measured first, and so many are made as fit into the budget. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from benchmarks.ablations.budget import steps_within, without_evaluation
from benchmarks.ablations.experiments import changed

import maskrcnn
from maskrcnn import Config


def fcn(config: Config) -> Config:
    """FCN-8s on the preset's backbone."""
    return changed(
        config,
        backbone={"features": "stages"},
        rpn={"enabled": False},
        box_head={"enabled": False},
        mask_head={"enabled": False},
        semantic_head={"enabled": True},
    )


SYSTEMS: Mapping[str, Callable[[Config], Config]] = {"fcn": fcn, "mask_r_cnn": lambda config: config}


def main() -> None:
    options = _parser().parse_args()
    torch.set_num_threads(1)
    config = maskrcnn.preset(options.preset)
    config = replace(config, data=replace(config.data, root=str(options.data.resolve())))
    costs = {name: budget(name, system(config), options) for name, system in SYSTEMS.items()}
    for seed in options.seeds:
        for name, system in SYSTEMS.items():
            train(name, seed, system(config), costs[name]["steps"], options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations.touching", description="see the module")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", required=True, help="whose input, anchors, augmentation and backbone are used")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0])
    parser.add_argument("--minutes", type=float, default=15.0, help="of one core's time, for each training")
    parser.add_argument("--output", type=Path, default=Path("outputs/touching"))
    return parser


def budget(name: str, config: Config, options: argparse.Namespace) -> dict[str, Any]:
    """Steps that fit into the time, and what one takes."""
    file = options.output / f"{options.preset}-{name}-budget.json"
    if not file.exists():
        steps, cost = steps_within(config, 60 * options.minutes)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"steps": steps, "seconds_per_step": cost}))
    result: dict[str, Any] = json.loads(file.read_text())
    print(name, result, flush=True)
    return result


def train(name: str, seed: int, config: Config, steps: int, options: argparse.Namespace) -> None:
    """One training, resumed if it was cut off."""
    run = options.output / f"{options.preset}-{name}-{seed}"
    done = run / "done.json"
    if done.exists():
        return
    print(f"== {run.name}: {steps} steps", flush=True)
    config = changed(config, schedule={"steps": steps}, train={"seed": seed})
    start = time.process_time()
    maskrcnn.train(without_evaluation(config), run, device="cpu", resume=run.exists())
    done.write_text(json.dumps({"processor_seconds": time.process_time() - start}))


if __name__ == "__main__":
    main()
