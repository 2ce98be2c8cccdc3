"""A trained network and its classes, ready for images.

>>> model = maskrcnn.load("nuclei")
>>> prediction = model.predict("cells.png")
>>> prediction.save("overlay.png")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from os import PathLike
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from maskrcnn.acceleration import for_prediction, prepared_for
from maskrcnn.config import Config
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import Predictor
from maskrcnn.sources import Source, read_source
from maskrcnn.structures import Categories, Detections, Size


class Model(Predictor[Tensor]):
    """A trained network and its classes, ready for images.

    Args:
        network: the weights. It stays as it is, and can be trained further: a copy of it is made ready for prediction,
            unless it is that already (`acceleration.for_prediction`).
        categories: its classes.
        config: its settings.
        device: as `torch.device` names it.
        summary: facts about its training.
        name: for people; the backbone's if empty.
        precision: what convolutions and matrix products compute in.
        accelerate: False: predict with `network` itself, moved to `device` and put into eval mode.
    """

    def __init__(
        self,
        network: MaskRCNN,
        categories: Categories,
        config: Config,
        device: torch.device | str = "cpu",
        summary: dict[str, Any] | None = None,
        name: str = "",
        precision: torch.dtype = torch.float32,
        *,
        accelerate: bool = True,
    ) -> None:
        self.device = torch.device(device)
        if accelerate:
            own = network if prepared_for(network) == "prediction" else deepcopy(network)
            network = for_prediction(own, self.device, precision)
        self.network = network.to(self.device).eval()
        self.categories = categories
        self.config = config
        self.summary = summary or {}
        self.name = name or config.backbone.name
        self.precision = precision

    @property
    def branches(self) -> Collection[str]:
        """What it tells beside classes and boxes."""
        return [*self.network.roi_branches, *self.network.dense_branches]

    @property
    def place(self) -> str:
        """What computes, for people."""
        return str(self.device)

    def export(self, path: str | PathLike[str], *, device: str = "auto", say: Callable[[str], object] = print) -> None:
        """Write the model as an .onnx file that needs no PyTorch, and a .json file that says what it takes and gives.

        It is compared with this model first. `load` takes the file as it takes others.

        Args:
            path: ends in .onnx; or in .pt2 for a program of `torch.export`, which holds backbone, pyramid and RPN head
                alone and which `load` does not take.
            device: the engine to compare with, "onnxruntime" or "openvino"; "auto": what is installed.
            say: gets a line for each step.

        Raises:
            UserError: the model was loaded without `accelerate=False`, has no such form, or comes out as another one;
                nothing is written then.
        """
        from maskrcnn.export.program import write_program
        from maskrcnn.export.writing import export_network

        if str(path).lower().endswith(".pt2"):
            write_program(self.network, self.config, path, say)
            return
        export_network(
            self.network,
            self.config,
            self.categories,
            path,
            name=self.name,
            summary=self.summary,
            device=device,
            say=say,
        )

    def _read(self, source: Source) -> Tensor:
        return read_source(source, self.channels)

    def _padded_size(self, image: Tensor) -> Size:
        return self.network.preprocess.padded_size(image)

    @torch.inference_mode()
    def predict_pass(
        self,
        images: Sequence[Tensor],
        sources: Sequence[Source],
        proposals: Sequence[Any] | None,
        score_threshold: float,
        max_detections: int | None,
    ) -> list[Prediction]:
        """What is found in images that are padded to one size."""
        with self._autocast():
            found = self.network.predict(
                [image.to(self.device) for image in images],
                proposals=None if proposals is None else [torch.as_tensor(boxes) for boxes in proposals],
                score_threshold=score_threshold,
                max_detections=max_detections,
            )
        return [self._prediction(own, source) for own, source in zip(found, sources, strict=True)]

    def _autocast(self) -> torch.autocast:
        """Without its cache of weights, which would not outlive the pass that a CUDA graph is recorded in."""
        enabled = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision if enabled else None, enabled, cache_enabled=False)

    def _prediction(self, found: Detections, source: Source) -> Prediction:
        """What was found, as arrays and with names."""
        return Prediction(
            boxes=_array(found.boxes),
            scores=_array(found.scores),
            labels=_array(found.labels),
            image_size=found.image_size,
            categories=self.categories,
            source=source,
            mask_probs=None if found.mask_probs is None else _array(found.mask_probs),
            keypoints=None if found.keypoints is None else _array(found.keypoints),
            paste=self.config.mask_head.paste,
            mask_threshold=self.config.mask_head.threshold,
            semantic=None if found.semantic is None else _array(found.semantic),
            channels=self.channels,
        )


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """A copy, so that the batch it is a part of can go; numbers of half precision become float32."""
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy().copy()
