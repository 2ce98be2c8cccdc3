"""Craft of training, each means for itself against none of them, with equal processor time and paired seeds.

    python -m benchmarks.ablations.craft --data PATH/TO/facades --preset light --images 40
    python -m benchmarks.ablations.craft --data PATH/TO/nuclei --init nuclei --images 16

All learn from the same few images, from the same weights, and are measured on the whole validation split. What is done
already is not done again, so a run that was cut off is started anew with the same command; `--results FILE` keeps what
each training gave, for other machines to go on with (`benchmarks/results`).
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.ablations.budget import steps_within
from benchmarks.ablations.experiments import Variant, changed
from benchmarks.ablations.kept import kept_in
from benchmarks.ablations.subset import num_classes, use_subset
from benchmarks.ablations.table import markdown, mean_and_spread

import maskrcnn
from maskrcnn import Config
from maskrcnn.presets.fine_tuning import fine_tuned
from maskrcnn.training.initial import Initial, read_initial
from maskrcnn.training.published import default_initial

PLAIN = "plain"
REPEATS = "repeat factors"
ALL_IMAGES = 1_000_000

Runs = Mapping[str, Mapping[int, float]]
"""Mask AP in percent, by variant and seed."""


def large_scale_jitter(config: Config) -> Config:
    """From a tenth of the size to twice it, in a square of the preset's crops, or of its short side."""
    side = config.augment.crop_size or config.input.min_size
    return changed(config, augment={"scale_range": (0.1, 2.0), "crop_size": side, "pad_crops": True})


def other_rates(config: Config) -> Config:
    """Rates by layer where they are alike, and the other way round."""
    return changed(config, optimizer={"layer_decay": 0.7 if config.optimizer.layer_decay == 1 else 1.0})


VARIANTS = (
    Variant(PLAIN, lambda config: config),
    Variant("copy-paste", lambda config: changed(config, augment={"copy_paste": 1.0})),
    Variant("large-scale jitter", large_scale_jitter),
    Variant(REPEATS, lambda config: changed(config, data={"repeat_threshold": 0.5})),
    Variant("rates by layer, the other way", other_rates),
    Variant("without average of weights", lambda config: changed(config, train={"ema_decay": 0.0})),
)


@dataclass(frozen=True)
class Budget:
    """Of each training: `minutes` of one core's time, or simply `steps`."""

    minutes: float
    steps: int | None

    def of(self, results: Path, name: str, config: Config, initial: Initial | None) -> dict[str, Any]:
        """Steps, and the processor time of one, which is measured only where it matters."""
        if self.steps is not None:
            return {"steps": self.steps}
        names = ("steps", "seconds_per_step")

        def measure() -> dict[str, Any]:
            return dict(zip(names, steps_within(config, 60 * self.minutes, initial), strict=True))

        return kept_in(results, f"{name}, steps", measure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not trained, and print the table after each training."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    base, initial = start(options)
    variants = [v for v in VARIANTS if v.name != REPEATS or num_classes(base) > 1]
    budget, runs = Budget(options.minutes, options.steps), {variant.name: dict[int, float]() for variant in variants}
    costs, results = {}, options.results or options.output / "craft.json"
    for seed in options.seeds:  # outermost, so that the table fills up evenly
        for variant in variants:
            config, name = variant.change(base), variant.name.replace(" ", "-").replace(",", "")
            costs[variant.name] = budget.of(results, variant.name, config, initial)
            config = with_budget(config, costs[variant.name]["steps"], seed)
            train = partial(measured, options.output / f"{name}-{seed}", config, initial)
            result = kept_in(results, f"{variant.name}, {config.schedule.steps} steps, seed {seed}", train)
            runs[variant.name][seed] = 100 * result["mask AP"]
            text = table(runs, costs)
            (options.output / "craft.md").write_text(text, encoding="utf-8")
            print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablations.craft", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and instances_*.json")
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument("--preset", help="to train, from the backbone that comes with the package where there is one")
    begin.add_argument("--init", help="a model to train further")
    parser.add_argument("--images", type=int, required=True, help="of the training split, evenly spaced")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1, 2])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=10.0, help="of one core's time, for each training")
    length.add_argument("--steps", type=int, help="of each training, whatever a step takes")
    parser.add_argument("--output", type=Path, default=Path("outputs/craft"), help="one for each data set and length")
    parser.add_argument(
        "--results", type=Path, help="what is known already, and what comes (default: OUTPUT/craft.json)"
    )
    return parser


def start(options: argparse.Namespace) -> tuple[Config, Initial | None]:
    """What all variants share: settings and weights, as the command line would choose them."""
    if options.init:
        initial: Initial | None = read_initial(options.init)
        assert initial is not None
        config = fine_tuned(initial.config)
    else:
        config = maskrcnn.preset(options.preset)
        initial = default_initial(config)
    config = config if initial is None else initial.bind(config)
    return use_subset(config, options.data, options.output / "data", options.images, ALL_IMAGES), initial


def with_budget(config: Config, steps: int, seed: int) -> Config:
    """So many steps in this process alone, measured at their end."""
    return changed(
        config,
        data={"num_workers": 0},
        schedule={"steps": steps, "warmup_steps": min(config.schedule.warmup_steps, steps // 10)},
        train={"seed": seed, "evaluate_every": 0, "evaluate_start": False},
    )


def measured(run: Path, config: Config, initial: Initial | None) -> dict[str, Any]:
    """How good a training ends, and what it took; continued, if it was cut off."""
    print(f"== {run.name}: {config.schedule.steps} steps", flush=True)
    begin = time.process_time()
    metrics = maskrcnn.train(config, run, device="cpu", init=initial, resume=run.exists()).metrics
    return {"mask AP": metrics["mask"]["AP"], "processor seconds": time.process_time() - begin}


def table(runs: Runs, costs: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each variant: its AP, and how far it is ahead of the plain one, seed by seed."""
    rows = [["", "seconds a step", "steps", "seeds", "mask AP", "ahead by", "standard error", "more than two of them"]]
    for name, own in runs.items():
        if own:
            cost = costs[name].get("seconds_per_step")
            figures = ["–" if cost is None else f"{cost:.3f}", str(costs[name]["steps"]), str(len(own))]
            rows.append([name, *figures, mean_and_spread(list(own.values())), *_compared(own, runs[PLAIN])])
    return markdown(rows)


def _compared(own: Mapping[int, float], plain: Mapping[int, float]) -> list[str]:
    if own is plain:
        return [""] * 3
    ahead = [own[seed] - plain[seed] for seed in sorted(own.keys() & plain.keys())]
    if len(ahead) < 2:
        return [mean_and_spread(ahead, sign=True), "–", "–"]
    mean, error = statistics.mean(ahead), statistics.stdev(ahead) / math.sqrt(len(ahead))
    verdict = "no" if abs(mean) <= 2 * error else "better" if mean > 0 else "worse"
    return [f"{round(mean, 2) + 0.0:+.2f}", f"{error:.2f}", verdict]  # + 0.0: never "-0.00"


if __name__ == "__main__":
    main()
