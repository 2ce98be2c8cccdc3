"""Objects from FCN and connected parts against Mask R-CNN, with equal processor time.

    python -m benchmarks.ablations.touching --data PATH/TO/nuclei --preset nuclei --seeds 0,1,2

Both learn from the same random weights of the same backbone, the same crops and the same seeds. Each step's processor
time is measured first, and so many are made as fit into the budget. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from benchmarks.ablations.budget import steps_within, without_evaluation
from benchmarks.ablations.experiments import changed
from benchmarks.ablations.found import found_by, parts_of_truth, quality, val_split
from benchmarks.ablations.kept import kept
from benchmarks.ablations.table import markdown, mean_and_spread

import maskrcnn
from maskrcnn import Config

Budget = Mapping[str, Any]
Result = Mapping[str, float]


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
NAMES = {"fcn": "FCN-8s, connected parts", "mask_r_cnn": "Mask R-CNN"}
PERFECT = "the true class of every pixel, connected parts"


def main() -> None:
    """Train what is not trained, measure what is not measured, and write the table after each."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    config = maskrcnn.preset(options.preset)
    config = replace(config, data=replace(config.data, root=str(options.data.resolve())))
    budgets = {name: budget(name, system(config), options) for name, system in SYSTEMS.items()}
    perfect = truth(config, options)
    results: dict[str, dict[int, Result]] = {name: {} for name in SYSTEMS}
    for seed in options.seeds:
        for name, system in SYSTEMS.items():
            run = train(name, seed, system(config), budgets[name]["steps"], options)
            results[name][seed] = measured(run, name, config)
            file = options.output / f"{options.preset}.md"
            file.write_text(table(budgets, results, perfect), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablations.touching", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and instances_*.json")
    parser.add_argument("--preset", required=True, help="whose input, anchors, augmentation and backbone are used")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0], help="0,1,2")
    parser.add_argument("--minutes", type=float, default=15.0, help="of one core's time, for each training")
    parser.add_argument("--output", type=Path, default=Path("outputs/touching"))
    return parser


def budget(name: str, config: Config, options: argparse.Namespace) -> Budget:
    """Steps that fit into the time, and what one takes."""
    return kept(
        options.output / f"{options.preset}-{name}-budget.json",
        lambda: dict(zip(("steps", "seconds_per_step"), steps_within(config, 60 * options.minutes), strict=True)),
    )


def train(name: str, seed: int, config: Config, steps: int, options: argparse.Namespace) -> Path:
    """The folder of one training, which is resumed if it was cut off."""
    run: Path = options.output / f"{options.preset}-{name}-{seed}"

    def done() -> dict[str, float]:
        print(f"== {run.name}: {steps} steps", flush=True)
        seeded = changed(config, schedule={"steps": steps}, train={"seed": seed})
        start = time.process_time()
        maskrcnn.train(without_evaluation(seeded), run, device="cpu", resume=run.exists())
        return {"processor_seconds": time.process_time() - start}

    kept(run / "done.json", done)
    return run


def measured(run: Path, name: str, config: Config) -> Result:
    """How good the objects are, and what the training took."""
    data, model = val_split(config), maskrcnn.load(run / "last.safetensors", "cpu")
    limit = config.evaluation.max_detections
    result = kept(run / "quality.json", lambda: asdict(quality(data, found_by(model, name, data), limit)))
    return {**result, **json.loads((run / "done.json").read_text())}


def truth(config: Config, options: argparse.Namespace) -> Result:
    """How good the connected parts of the true label maps are."""
    data = val_split(config)
    return kept(
        options.output / f"{options.preset}-truth.json",
        lambda: asdict(quality(data, parts_of_truth(data), config.evaluation.max_detections)),
    )


def table(budgets: Mapping[str, Budget], results: Mapping[str, Mapping[int, Result]], perfect: Result) -> str:
    """A row for each system, and one for an FCN without error."""
    heads = ("objects from", "seconds a step", "steps", "seconds in all", "seeds", "mask AP", "AP50")
    rows = [[*heads, "miscounted per image", "found more"]]
    for name, runs in results.items():
        cost = f"{budgets[name]['seconds_per_step']:.3f}"
        seconds = _spread(runs, "processor_seconds", 1)
        rows.append([NAMES[name], cost, str(budgets[name]["steps"]), seconds, str(len(runs)), *_figures(runs)])
    rows.append([PERFECT, *["–"] * 4, *_figures({0: perfect})])
    return markdown(rows)


def _figures(runs: Mapping[int, Result]) -> list[str]:
    percent = [_spread(runs, name, 100) for name in ("ap", "ap50")]
    return [*percent, _spread(runs, "miscounted", 1), _spread(runs, "more", 1, sign=True)]


def _spread(runs: Mapping[int, Result], name: str, factor: float, *, sign: bool = False) -> str:
    return mean_and_spread([factor * run[name] for run in runs.values()], sign=sign)


if __name__ == "__main__":
    main()
