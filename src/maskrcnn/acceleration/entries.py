"""The two ways to make a network fast, in place, and what a network so made can no longer do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor

from maskrcnn.acceleration.cuda_graphs import replay_dense_parts
from maskrcnn.acceleration.folding import fold_batch_norms
from maskrcnn.acceleration.prediction import cast_weights, fuse
from maskrcnn.acceleration.training import speed_up_training, undo_speed_up
from maskrcnn.errors import UserError
from maskrcnn.kernels.winograd import transforming_once
from maskrcnn.models.chunks import Chunk
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.roi_features import Result, RoIFeatures


class MaskRCNNForPrediction(MaskRCNN):
    """What `for_prediction` makes of a network: it can only predict, since its weights are changed for good.

    A class of the user's own becomes a subclass of both (`_prepared_class`).
    """

    def loss(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: the weights that the loss needs are folded away.

        Raises:
            UserError: always.
        """
        raise UserError(_final("its loss cannot be computed"))

    def state_dict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse, so that it cannot be saved.

        Raises:
            UserError: always.
        """
        raise UserError(_final("its weights cannot be saved"))

    def roi_features(self, features: Sequence[Tensor]) -> RoIFeatures:
        """As `MaskRCNN.roi_features`; what a class of the user's own makes of them stays."""
        own = super().roi_features(features)
        return RoIFeaturesForPrediction(features, self.roi_layers) if type(own) is RoIFeatures else own

    def __reduce__(self) -> tuple[Any, ...]:
        """By the class it was built from: one made here cannot be found by its name."""
        return _empty, (self._built_from,), self.__getstate__()

    _built_from: type[MaskRCNN] = MaskRCNN


@cache
def _prepared_class(built_from: type[MaskRCNN]) -> type[MaskRCNNForPrediction]:
    """`MaskRCNNForPrediction` comes first, so that a `loss` of the user's own is refused too."""
    if built_from is MaskRCNN:
        return MaskRCNNForPrediction
    bases = MaskRCNNForPrediction, built_from
    return type(f"{built_from.__name__}ForPrediction", bases, {"_built_from": built_from})


def _empty(built_from: type[MaskRCNN]) -> MaskRCNNForPrediction:
    """A network without its contents, for copies."""
    # mypy takes the hash of the class for that of its instances
    prepared = _prepared_class(built_from)  # type: ignore[arg-type]
    return prepared.__new__(prepared)


class RoIFeaturesForPrediction(RoIFeatures):
    """Lets Winograd's algorithm transform the weights of a branch once for all chunks.

    For a single chunk nothing is kept: the transformed weights of four layers take 80 MiB, of one a fourth.
    """

    def _each(self, chunks: Sequence[Chunk], work: Callable[[Chunk], Result]) -> list[Result]:
        with transforming_once() if len(chunks) > 1 else nullcontext():
            return super()._each(chunks, work)


def prepared_for(network: MaskRCNN) -> Literal["training", "prediction"] | None:
    """What a network was made ready for; None: it is the textbook's. Copies, also pickled ones, say the same."""
    purpose: Literal["training", "prediction"] | None = vars(network).get("prepared_for")
    return purpose


def for_prediction(
    network: MaskRCNN, device: torch.device | str = "cpu", precision: torch.dtype = torch.float32
) -> MaskRCNN:
    """Make a network ready for prediction, in place: the same detections in less time and memory.

    Batch norms are folded into convolutions, ReLUs and sums joined with the layer before them, large 3x3 convolutions
    use Winograd's algorithm; on the CPU, weights are rounded to a lower precision once and for all; on a GPU, the dense
    parts are recorded as CUDA graphs. This is final: `loss`, saving and `for_training` refuse. A network that was made
    ready for training becomes the textbook's first. Make a copy of what is to be trained further; `Model` does.

    Args:
        network: from `build_model`, trained or not, prepared or not.
        device: where it is to predict; it is moved there.
        precision: what it is to compute in; under `torch.autocast`, if that is not float32.

    Returns:
        The same object, in eval mode.
    """
    device = torch.device(device)
    if prepared_for(network) != "prediction":
        fuse(fold_batch_norms(undo_speed_up(network.eval())))
        vars(network)["prepared_for"] = "prediction"
        network.__class__ = _prepared_class(type(network))  # type: ignore[arg-type]
    if device.type == "cpu":
        cast_weights(network, precision)
    network.to(device)
    if device.type == "cuda":
        replay_dense_parts(network)
    return network


def for_training(network: MaskRCNN) -> MaskRCNN:
    """Make a network ready for training, in place: the same losses and gradients in less time and memory.

    Parameters keep their names, values and places, so an optimizer may know them already; the network can be saved,
    and it predicts as before.

    Returns:
        The same object.

    Raises:
        UserError: it was made ready for prediction.
    """
    if prepared_for(network) == "prediction":
        raise UserError(_final("it cannot be trained"))
    if prepared_for(network) is None:
        speed_up_training(network)
        vars(network)["prepared_for"] = "training"
    return network


def _final(refused: str) -> str:
    return f"this network is made ready for prediction, which is final: {refused}; load the model with accelerate=False"
