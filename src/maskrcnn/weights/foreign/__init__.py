"""Weights of other libraries, in our names and with our conventions."""

from maskrcnn.weights.foreign.convert import import_foreign, import_tensors
from maskrcnn.weights.foreign.imported import Imported, Knowledge

__all__ = ["Imported", "Knowledge", "import_foreign", "import_tensors"]
