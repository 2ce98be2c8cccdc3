"""torchvision as an oracle: its models beside the CPU build of torch, without its compiled operators.

`pip install --no-deps torchvision==0.28.0` gets the Python part. Two operators must be declared before it can be
imported, a plain NMS is put behind one of them, and RoIAlign is torchvision's own Python version.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from typing import Any

import pytest
import torch
from benchmarks.compare.weights import spread
from torch import Tensor, nn

from maskrcnn.ops.nms import nms

_FACTORS = {"rpn.head.cls_logits": 30.0, "rpn.head.bbox_pred": 10.0, "mask_fcn_logits": 3.0}
SKIP = "needs torchvision: pip install --no-deps torchvision==0.28.0"
_declared: list[torch.library.Library] = []  # a declaration lasts as long as its object


@cache
def torchvision() -> Any:
    """The library, able to run its detectors; the test is skipped where it is not installed."""
    try:
        library = _imported()
    except RuntimeError:  # its compiled part does not fit this torch
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _declare_operators()
        library = _imported()
    if not library.extension._has_ops():
        library.ops.boxes._assert_has_ops = lambda: None
        operator = sys.modules["torchvision.ops.roi_align"]
        for name in ("_roi_align", "_bilinear_interpolate"):
            function = getattr(operator, name)
            setattr(operator, name, getattr(function, "__wrapped__", function))  # without torch.compile
    return library


def _imported() -> Any:
    try:
        importlib.import_module("torchvision.models.detection")
    except ImportError:
        pytest.skip(SKIP)
    return sys.modules["torchvision"]


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", lambda boxes, scores, threshold: nms(boxes, scores, threshold), "CPU")
    _declared.append(library)


def detector(name: str, **settings: Any) -> nn.Module:
    """A detector of torchvision with random weights and random statistics, in eval mode."""
    models = torchvision().models.detection
    torch.manual_seed(0)
    model: nn.Module = getattr(models, name)(weights=None, weights_backbone=None, **settings)
    spread(model, _FACTORS)
    return model.eval()


def recorded(model: nn.Module, *paths: str) -> tuple[dict[str, Any], list[Any]]:
    """What the modules at `paths` put out from now on, and handles that end the recording."""
    outputs: dict[str, Any] = {}
    handles = [
        model.get_submodule(path).register_forward_hook(
            lambda module, inputs, output, path=path: outputs.update({path: output})
        )
        for path in paths
    ]
    return outputs, handles


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """By parameter; zeros for those that have none."""
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}
