"""`light`'s network from ImageNet's features beside `small`'s from random weights: same pictures, steps and seeds.

    python -m benchmarks.ablations.light_and_small --data PATH/TO/facades --seeds 0,1,2

A step of the two takes the same time within a few percent. All else is the preset `facades`; each training is measured
on the whole validation split, class by class. As in `craft.py`, what is done already is not done again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.ablations.craft import with_budget
from benchmarks.ablations.kept import kept_in
from benchmarks.ablations.table import markdown, mean_and_spread

import maskrcnn
from maskrcnn import Config
from maskrcnn.training.published import default_initial

NETWORKS = ("small", "light")
MASK_AP = "mask AP"

Results = Mapping[str, Sequence[Mapping[str, float]]]
"""Of each network, a result for each seed: AP as fractions, of all classes under `MASK_AP` and of each by its name."""


def settings(network: str, data: Path, steps: int, seed: int) -> Config:
    """The preset `facades` with one of the two networks; both halve the pictures alike."""
    config = maskrcnn.preset("facades")
    if network == "small":
        small = maskrcnn.preset("small")
        sides = {"min_size": config.input.min_size, "max_size": config.input.max_size}
        config = replace(
            config,
            input=replace(small.input, **sides),
            backbone=small.backbone,
            resnet=small.resnet,
            rpn=small.rpn,
            optimizer=small.optimizer,
        )
    return with_budget(replace(config, data=replace(config.data, root=str(data))), steps, seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not trained, and print the table after each training."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    results = options.results or options.output / "light_and_small.json"
    known: dict[str, list[dict[str, float]]] = {network: [] for network in NETWORKS}
    for seed in options.seeds:
        for network in options.networks:
            name = f"{network}, {options.steps} steps, seed {seed}"
            config = settings(network, options.data, options.steps, seed)
            train = partial(measured, options.output / f"{network}-{options.steps}-{seed}", config)
            known[network].append(kept_in(results, name, train))
            print(table(known), flush=True)


def measured(run: Path, config: Config) -> dict[str, Any]:
    """How good a training ends, class by class, and what it took; continued, if it was cut off."""
    begin = time.process_time()
    init = default_initial(config)
    config = config if init is None else init.bind(config)
    metrics = maskrcnn.train(config, run, device="cpu", init=init, resume=run.exists()).metrics
    classes = {row["name"]: row["AP"] for row in metrics["per_class"]["mask"]}
    return {MASK_AP: metrics["mask"]["AP"], "processor seconds": time.process_time() - begin, **classes}


def table(results: Results) -> str:
    """A column for each network, a row for all classes and each: mean and spread of mask AP over seeds, in percent."""
    networks = [network for network, own in results.items() if own]
    names = [name for name in results[networks[0]][0] if name not in (MASK_AP, "processor seconds")]
    rows = [["mask AP", *networks], ["seeds", *(str(len(results[network])) for network in networks)]]
    for name in (MASK_AP, *sorted(names)):
        figures = [mean_and_spread([100 * one[name] for one in results[network]]) for network in networks]
        rows.append(["all classes" if name == MASK_AP else name, *figures])
    minutes = [[one["processor seconds"] / 60 for one in results[network]] for network in networks]
    return markdown([*rows, ["minutes of a core", *map(mean_and_spread, minutes)]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablations.light_and_small", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and instances_*.json")
    steps = maskrcnn.preset("facades").schedule.steps
    parser.add_argument("--steps", type=int, default=steps, help="of each training (default: %(default)s)")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("outputs/light_and_small"))
    parser.add_argument(
        "--results", type=Path, help="what is known already, and what comes (default: OUTPUT/light_and_small.json)"
    )
    return parser


if __name__ == "__main__":
    main()
