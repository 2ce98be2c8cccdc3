"""Train every variant with every seed, and write the tables after each run."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from benchmarks.ablations import __doc__ as purpose
from benchmarks.ablations.experiments import ABLATIONS, Ablation, changed
from benchmarks.ablations.subset import num_classes, use_subset
from benchmarks.ablations.table import Result, ablation_table

import maskrcnn
from maskrcnn import Config

NAMES = tuple(ablation.name for ablation in ABLATIONS)

Table = dict[str, dict[str, dict[int, Result]]]
"""By ablation, variant and seed."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    ablations = [ablation for ablation in ABLATIONS if ablation.name in options.pairs]
    base = base_config(options)
    if num_classes(base) == 1:
        ablations = [ablation for ablation in ablations if not ablation.needs_classes]
    results: Table = {ablation.name: {variant.name: {} for variant in ablation.variants} for ablation in ablations}
    for seed in range(options.seeds):  # outermost, so that the tables fill up evenly
        for ablation in ablations:
            for variant in ablation.variants:
                config = changed(variant.change(base), train={"seed": seed})
                print(f"== {ablation.name}, {variant.name}, seed {seed}", flush=True)
                results[ablation.name][variant.name][seed] = measured(config, options.output / "runs", options.device)
                write_tables(options.output / "ablations.md", ablations, results, base)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=(purpose or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="holds images/, instances_train.json, instances_val.json"
    )
    parser.add_argument("--output", type=Path, default=Path("outputs/ablations"))
    parser.add_argument("--preset", default="facades", help="whose input, anchors and augmentation are used")
    parser.add_argument("--pairs", type=_names, default=NAMES, metavar="2a,2c", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each variant")
    parser.add_argument("--steps", type=int, default=600, help="of each run")
    parser.add_argument(
        "--width", type=int, default=24, help="channels after the first convolution, at least 16 (the paper: 64)"
    )
    parser.add_argument("--images", type=int, default=200, help="to learn from")
    parser.add_argument("--categories", type=lambda text: text.split(","), default=[], help="to keep: a,b")
    parser.add_argument("--val-images", type=int, default=60, help="to measure with")
    parser.add_argument("--device", default="auto")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = set(names) - set(NAMES)
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(NAMES)}; got {', '.join(sorted(unknown))}")
    return names


def base_config(options: argparse.Namespace) -> Config:
    """What all variants share: the data, and the budget."""
    config = changed(
        maskrcnn.preset(options.preset),
        resnet={"stem_channels": options.width},
        mask_head={"fc_channels": 256},
        schedule={"steps": options.steps, "warmup_steps": min(100, options.steps // 5)},
        train={"evaluate_every": 0, "checkpoint_every": max(options.steps // 4, 1)},
    )
    folder = options.output / "data"
    return use_subset(config, options.data, folder, options.images, options.val_images, options.categories)


def measured(config: Config, folder: Path, device: str) -> Result:
    """The figures of a run; a run that several tables share, or that is done already, is not repeated."""
    run = folder / hashlib.sha256(repr(config).encode()).hexdigest()[:12]
    done = run / "result.json"
    if not done.exists():
        metrics = maskrcnn.train(config, run, device=device, resume=run.exists()).metrics
        done.write_text(json.dumps({kind: metrics[kind] for kind in ("mask", "box") if kind in metrics}))
    result: Result = json.loads(done.read_text())
    return result


def write_tables(path: Path, ablations: Sequence[Ablation], results: Table, base: Config) -> None:
    """All tables, with what has been measured so far."""
    tables = [ablation_table(ablation, results[ablation.name]) for ablation in ablations]
    path.write_text("\n".join([_introduction(base), *tables]), encoding="utf-8")


def _introduction(base: Config) -> str:
    train, val = (
        len(json.loads(Path(file).read_text(encoding="utf-8"))["images"])
        for file in (base.data.train_annotations, base.data.val_annotations)
    )
    name = Path(base.data.root).name
    return (
        "# Ablations\n\n"
        f"Here: {base.backbone.name} with {base.resnet.stem_channels} stem channels from random weights, "
        f"{base.schedule.steps} steps of {base.train.batch_size} images, "
        f"{train} images of `{name}` to learn from, {val} to measure with; maskrcnn {maskrcnn.__version__}, "
        f"torch {torch.__version__}. All variants have the same budget, and runs of "
        "one seed see the same images in the same order. Figures are in percent, mean ± standard deviation over the "
        "seeds.\n\n"
        "The paper: pre-trained networks, 160,000 steps of 16 images of COCO, minival; AP / AP50 / AP75.\n"
    )


if __name__ == "__main__":
    main()
