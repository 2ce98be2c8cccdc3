"""Put a trained model into the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import maskrcnn
from maskrcnn.config import DataConfig
from maskrcnn.weights.checkpoint import load_model, save_model

BUNDLED = Path(maskrcnn.__file__).parent / "weights" / "bundled"


def bundle(trained: Path, name: str, attribution: str = "") -> None:
    """Store the model under a name, in half precision, without the paths of the machine it was trained on.

    Args:
        trained: the model file.
        name: of the bundled model.
        attribution: whom the licence of its training data wants to be named; kept in the file, and said by
            `maskrcnn models`.
    """
    model, config, categories, summary = load_model(trained)
    BUNDLED.mkdir(exist_ok=True)
    facts = {**summary, "attribution": attribution} if attribution else summary
    save_model(BUNDLED / f"{name}.safetensors", model, replace(config, data=DataConfig()), categories, facts, half=True)
