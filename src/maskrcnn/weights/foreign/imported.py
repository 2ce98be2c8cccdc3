"""A model of another library as one of ours, and the check that it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.structures import Categories
from maskrcnn.weights.foreign.classes import choose_categories, require_number
from maskrcnn.weights.foreign.layout import Layout
from maskrcnn.weights.foreign.names import BACKBONE


@dataclass(frozen=True)
class ImportHints:
    """What the user knows of a file beyond what it shows.

    Attributes:
        library: "torchvision", "detectron2", or "auto".
        categories: the classes in the order of the outputs; None: COCO's where their number fits, else numbered.
        style: one of `pixels.STYLES`, or "auto" for that of detectron2's published models of the same kind.
        settings: detectron2's own, flat ("MODEL.RPN.NMS_THRESH"); they go before `style`.
        key: under which of the file's keys the weights lie; empty: where they usually lie.
    """

    library: str = "auto"
    categories: Categories | None = None
    style: str = "auto"
    settings: Mapping[str, Any] | None = None
    key: str = ""

    def categories_of(self, layout: Layout) -> Categories:
        """The given categories, or those that the numbers of outputs suggest; an RPN alone knows one, the object.

        Raises:
            UserError: as many were given as the weights cannot have.
        """
        if self.categories is not None:
            require_number(self.categories, layout.num_classes)
            return self.categories
        if not layout.has("box_head"):
            return Categories((1,), ("object",))
        return choose_categories(layout.num_classes, layout.num_keypoints)


NO_HINTS = ImportHints()


@dataclass(frozen=True)
class Imported:
    """Weights in our names, and all that belongs to them.

    Attributes:
        config: the settings of the model.
        categories: its classes; none for a backbone alone.
        state_dict: for `build_model(config, len(categories))`; for a backbone alone only its part of it.
        remarks: what was recognised and what had to be assumed, a line each.
    """

    config: Config
    categories: Categories
    state_dict: dict[str, Tensor]
    remarks: tuple[str, ...]

    @property
    def is_backbone(self) -> bool:
        """Whether there are no heads: such weights can start a training, not predict."""
        return not self.categories.ids


def whole_model(
    config: Config, categories: Categories, tensors: Mapping[str, Tensor], remarks: Iterable[str]
) -> Imported:
    """A model with all its weights and none besides.

    Raises:
        UserError: weights are missing, left over, or of the wrong shape.
    """
    expected = build_model(config, len(categories), categories.num_keypoints).state_dict()
    tensors = _with_counters(tensors, expected)
    _require_equal(tensors, expected)
    return Imported(config, categories, tensors, tuple(remarks))


def backbone_alone(config: Config, tensors: Mapping[str, Tensor], remarks: Iterable[str]) -> Imported:
    """The bottom-up network, with which a training can start."""
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(f"{BACKBONE}.")}
    return Imported(config, Categories((), ()), own, tuple(remarks))


def first_few(what: str, names: Iterable[str]) -> str:
    """The first few names and how many there are; nothing if there are none."""
    listed = sorted(names)
    more = f", ... ({len(listed)} in all)" if len(listed) > 3 else ""
    return f"{what}: {', '.join(listed[:3])}{more}" if listed else ""


def _with_counters(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Batch norms count their batches, which no result depends on; some files lack the counters, others have more."""
    counter = "num_batches_tracked"
    kept = {name: tensor for name, tensor in tensors.items() if name in expected or not name.endswith(counter)}
    zeros = {name: torch.tensor(0) for name in expected if name.endswith(counter)}
    return zeros | kept


def _require_equal(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    wrong = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    problems = (
        first_few("missing", expected.keys() - tensors.keys()),
        first_few("unexpected", tensors.keys() - expected.keys()),
        first_few("of the wrong shape", wrong),
    )
    if any(problems):
        raise UserError(f"the weights do not make up a model of this package; {'; '.join(filter(None, problems))}")
