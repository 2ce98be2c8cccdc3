"""Models as files."""

from maskrcnn.weights.checkpoint import Checkpoint, load_model, save_model, save_weights

__all__ = ["Checkpoint", "load_model", "save_model", "save_weights"]
