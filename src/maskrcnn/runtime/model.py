"""An exported model, ready for images: the verbs and results of `Model`, without PyTorch.

>>> model = maskrcnn.load("model.onnx")
>>> model.predict("cells.png").save("overlay.png")
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import Predictor
from maskrcnn.runtime.contract import Contract, read_contract
from maskrcnn.runtime.engines import Arrays, Engine, open_engine
from maskrcnn.runtime.keypoints import decode_keypoints
from maskrcnn.runtime.label_maps import label_map
from maskrcnn.runtime.preprocess import Batch, Pixels, Preprocess
from maskrcnn.sources import Source, source_values
from maskrcnn.structures import Size


class ExportedModel(Predictor[Pixels]):
    """A graph and what it says of itself, ready for images.

    Args:
        engine: computes the graph.
        contract: what the graph is.
        name: for people.
    """

    def __init__(self, engine: Engine, contract: Contract, name: str = "") -> None:
        self.engine = engine
        self.contract = contract
        self.categories = contract.categories
        self.config = contract.config
        self.summary = contract.summary
        self.name = name or contract.name
        self.preprocess = Preprocess(contract.config.input)

    @property
    def branches(self) -> Collection[str]:
        """What it tells beside classes and boxes."""
        return self.contract.branches

    @property
    def place(self) -> str:
        """What computes, for people."""
        return self.engine.name

    def _read(self, source: Source) -> Pixels:
        return source_values(source, self.channels)

    def _padded_size(self, image: Pixels) -> Size:
        return self.preprocess.padded_size(image)

    def predict_pass(
        self,
        images: Sequence[Pixels],
        sources: Sequence[Source],
        proposals: Sequence[Any] | None,
        score_threshold: float,
        max_detections: int | None,
    ) -> list[Prediction]:
        """What is found in images that are padded to one size."""
        if proposals is not None:
            raise UserError("proposals: expected none, since this model has an RPN and makes its own")
        batch = self.preprocess.prepare(images)
        found = self.run(batch, score_threshold, max_detections)
        return [self._prediction(found, batch, image, source) for image, source in enumerate(sources)]

    def run(self, batch: Batch, score_threshold: float, max_detections: int | None = None) -> Arrays:
        """The outputs of the graph by name (`runtime.contract.OUTPUTS`), in the `input` frame."""
        limit = self.contract.default_max_detections if max_detections is None else max_detections
        feed = {
            "pixels": batch.pixels,
            "sizes": np.array(batch.sizes, np.float32),
            "score_threshold": np.array([score_threshold], np.float32),
            "max_detections": np.array([limit], np.int64),
        }
        return self.engine.run({name: feed[name] for name in self.contract.inputs})

    def _prediction(self, found: Arrays, batch: Batch, image: int, source: Source) -> Prediction:
        """What was found in an image of the batch, in its `original` frame."""
        settings = self.config.mask_head
        return Prediction(
            **self._objects(found, batch, image),
            image_size=batch.original_sizes[image],
            categories=self.categories,
            source=source,
            paste=settings.paste,
            mask_threshold=settings.threshold,
            semantic=self._label_map(found, batch, image),
            channels=self.channels,
        )

    def _objects(self, found: Arrays, batch: Batch, image: int) -> dict[str, Any]:
        """The parts of the result that have a row per object."""
        if "boxes" not in found:
            return {
                "boxes": np.zeros((0, 4), np.float32),
                "scores": np.zeros(0, np.float32),
                "labels": np.zeros(0, int),
            }
        start, end = np.searchsorted(found["images"], [image, image + 1])
        names = [name for name in ("boxes", "scores", "labels", "mask_probs") if name in found]
        rows: dict[str, Any] = {name: found[name][start:end].copy() for name in names}
        scale = batch.to_original(image)
        if "keypoint_head_logits" in found:
            settings = self.config.keypoint_head
            points = decode_keypoints(found["keypoint_head_logits"][start:end], rows["boxes"], settings.rule)
            points[..., :2] = points[..., :2] * scale + np.float32(settings.shift)
            rows["keypoints"] = points
        return {**rows, "boxes": rows["boxes"] * np.tile(scale, 2)}

    def _label_map(self, found: Arrays, batch: Batch, image: int) -> Any:
        logits = found.get("semantic_head_logits")
        if logits is None:
            return None
        size, original = batch.sizes[image], batch.original_sizes[image]
        # Cells are a whole number of pixels wide, and the padded image is a whole number of cells.
        return label_map(logits[image], batch.pixels.shape[2] // logits.shape[2], size, original)


def load_exported(path: Path, device: str = "auto", name: str = "") -> ExportedModel:
    """A model from what `maskrcnn export` wrote.

    Args:
        path: the .onnx file.
        device: "onnxruntime" or "openvino"; "auto": the first of these that is installed.
        name: for people.

    Raises:
        UserError: no such file, a foreign or a damaged one, or nothing is installed to compute it with.
    """
    contract, content = read_contract(path)
    return ExportedModel(open_engine(str(path), device, content, contract.outputs), contract, name)
