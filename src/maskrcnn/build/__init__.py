"""The one room where named choices become modules and parts are wired into a model.

Four literal tables: `BACKBONES`, `ROI_BRANCHES`, `DENSE_BRANCHES`, and the operators that cut out RoI features.
"""

from maskrcnn.build.model import build_model, build_model_without_memory, build_preprocess

__all__ = ["build_model", "build_model_without_memory", "build_preprocess"]
