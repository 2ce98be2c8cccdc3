"""Mask R-CNN that people can use: train, evaluate and predict instance masks in plain PyTorch.

The public names are looked up on first use: `import maskrcnn` and `maskrcnn --help` do not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskrcnn.config import Config
    from maskrcnn.detected import DetectedObject
    from maskrcnn.errors import UserError
    from maskrcnn.evaluator import evaluate
    from maskrcnn.loading import load
    from maskrcnn.model import Model
    from maskrcnn.prediction import Prediction
    from maskrcnn.presets import preset
    from maskrcnn.structures import Categories, Detections
    from maskrcnn.training.loop import train

__all__ = [
    "Categories",
    "Config",
    "DetectedObject",
    "Detections",
    "Model",
    "Prediction",
    "UserError",
    "evaluate",
    "load",
    "preset",
    "train",
]

_HOMES = {
    "Categories": "maskrcnn.structures",
    "Config": "maskrcnn.config",
    "DetectedObject": "maskrcnn.detected",
    "Detections": "maskrcnn.structures",
    "Model": "maskrcnn.model",
    "Prediction": "maskrcnn.prediction",
    "UserError": "maskrcnn.errors",
    "evaluate": "maskrcnn.evaluator",
    "load": "maskrcnn.loading",
    "preset": "maskrcnn.presets",
    "train": "maskrcnn.training.loop",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("maskrcnn")
    if name not in _HOMES:
        raise AttributeError(f"module 'maskrcnn' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next look-up finds it without coming here
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
