"""Training: `loop.py` tells the story; the other files are its nouns."""

from maskrcnn.training.loop import TrainResult, train

__all__ = ["TrainResult", "train"]
