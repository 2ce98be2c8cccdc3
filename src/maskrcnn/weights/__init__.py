"""Models as files."""

from maskrcnn.weights.checkpoint import Checkpoint, load_model, save_model

__all__ = ["Checkpoint", "load_model", "save_model"]
