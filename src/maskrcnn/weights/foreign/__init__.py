"""Weights of other libraries, in our names and with our conventions."""

from maskrcnn.weights.foreign.convert import import_foreign, import_tensors
from maskrcnn.weights.foreign.imported import Imported, ImportHints

__all__ = ["ImportHints", "Imported", "import_foreign", "import_tensors"]
