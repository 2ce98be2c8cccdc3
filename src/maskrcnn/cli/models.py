"""`maskrcnn models`: what there is to predict with and to train from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskrcnn.cli.arguments import CommandParser
from maskrcnn.text import one_line


def main(arguments: Sequence[str]) -> int:
    """Print the models and the presets."""
    CommandParser("models", "List the bundled and the published models, and the presets for training.").parse(arguments)
    from maskrcnn.loading import bundled_models
    from maskrcnn.presets import PRESETS
    from maskrcnn.weights.hub import PUBLISHED

    print("bundled models (maskrcnn predict --model NAME):")
    for name, path in bundled_models().items():
        print(f"  {name:<10} {_describe(path)}")
    print("\npublished models (the same; downloaded on first use):")
    for name in PUBLISHED:
        print(f"  {name}")
    print("\npresets (maskrcnn train --preset NAME; add --print-config to see all settings):")
    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"  {name:<{width}} {(preset.__doc__ or '').splitlines()[0]}")
    return 0


def _describe(path: Path) -> str:
    from maskrcnn.weights.checkpoint import read_checkpoint

    saved = read_checkpoint(path)
    names = saved.categories.names
    return (
        f"{saved.config.backbone.name}, {path.stat().st_size / 1e6:.1f} MB, "
        f"{len(names)} class{'es' * (len(names) > 1)}: {', '.join(map(one_line, names))}"
    )
