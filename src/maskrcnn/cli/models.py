"""`maskrcnn models`: what there is to predict with and to train from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser
from maskrcnn.text import one_line

if TYPE_CHECKING:
    from maskrcnn.structures import Categories


def main(arguments: Sequence[str]) -> int:
    """Print the models and the presets."""
    CommandParser("models", "List the bundled and the published models, and the presets for training.").parse(arguments)
    from maskrcnn.loading import bundled_models
    from maskrcnn.presets import PRESETS
    from maskrcnn.weights.hub import PUBLISHED

    _print_bundled(bundled_models())
    print("\npublished models (the same; downloaded on first use):")
    for name in PUBLISHED:
        print(f"  {name}")
    print("\npresets (maskrcnn train --preset NAME; add --print-config to see all settings):")
    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"  {name:<{width}} {(preset.__doc__ or '').splitlines()[0]}")
    return 0


def _print_bundled(models: Mapping[str, Path]) -> None:
    """What predicts, and apart from that the backbones, which only begin a training."""
    from maskrcnn.weights.checkpoint import read_checkpoint

    lines: dict[bool, list[str]] = {True: [], False: []}
    for name, path in models.items():
        saved = read_checkpoint(path)
        what = f"{saved.config.backbone.name}, {path.stat().st_size / 1e6:.1f} MB"
        has_classes = bool(saved.categories.ids)
        lines[has_classes].append(f"  {name:<10} {what}{_classes(saved.categories) if has_classes else ''}")
        if source := saved.summary.get("attribution"):
            lines[has_classes].append(f"  {'':<10} trained on: {one_line(str(source))}")
    print("bundled models (maskrcnn predict --model NAME):", *lines[True], sep="\n")
    if lines[False]:
        print("\nbundled backbones (maskrcnn train --init NAME):", *lines[False], sep="\n")


def _classes(categories: Categories) -> str:
    names = categories.names
    return f", {len(names)} class{'es' * (len(names) > 1)}: {', '.join(map(one_line, names))}"
