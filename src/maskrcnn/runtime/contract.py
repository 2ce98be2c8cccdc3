"""What an exported model says of itself: in the file's metadata, and in a .json file beside it for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.runtime.onnx_file import graph_checksum, read_onnx
from maskrcnn.settings import config_from_dict, config_to_dict
from maskrcnn.structures import Categories
from maskrcnn.text import brief

KEY = "maskrcnn"
"""Of the JSON text in the file's metadata."""
FORMAT = 1
"""Goes up when another version of the package could not use the file any more."""
LONGEST = 16 * 2**20
"""Characters of that text."""

INPUTS = {
    "pixels": "float32 (batch, channels, height, width): RGB in [0, 1], resized, minus mean, divided by std, "
    "padded with zeros at the right and the bottom; see preprocessing",
    "sizes": "float32 (batch, 2): height and width of each image after resizing, without padding",
    "score_threshold": "float32 (1): objects score above it",
    "max_detections": "int64 (1): at most so many objects of each image",
}
OUTPUTS = {
    "boxes": "float32 (objects, 4): x1, y1, x2, y2 in pixels of the resized image",
    "scores": "float32 (objects)",
    "labels": "int64 (objects): places in categories",
    "images": "int64 (objects): which image of the batch; the objects of an image stand together, the best first",
    "mask_probs": "float32 (objects, m, m): probabilities on a grid over the box; pasting is not part of the graph",
    "keypoint_head_logits": "float32 (objects, keypoints, m, m): logits on a grid over the box",
    "semantic_head_logits": "float32 (batch, classes + 1, h, w): logits of classes and background, every few pixels",
}
"""What the graph takes and gives; a model has those of its branches."""


@dataclass(frozen=True)
class Contract:
    """What an exported model says of itself.

    Attributes:
        config: the model's settings; preprocessing, thresholds and the rule of pasting are among them.
        categories: its classes.
        inputs: names of the graph's inputs, in their order.
        outputs: the same of its outputs.
        branches: what the model tells beside classes and boxes.
        name: for people.
        summary: what its training had to say.
        package: the version that wrote it.
        graph_crc32: checksum of the graph, None before there is one.
        precision: "float32", or "int8" where the weights and maps of most convolutions are.
        measured: largest differences from the network that were seen, and accuracies where they were measured.
    """

    config: Config
    categories: Categories
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    branches: tuple[str, ...]
    name: str
    summary: dict[str, Any] = field(default_factory=dict)
    package: str = field(default_factory=lambda: version("maskrcnn"))
    graph_crc32: int | None = None
    precision: str = "float32"
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def default_max_detections(self) -> int:
        """Of an image, unless the user says otherwise."""
        config = self.config
        return config.box_head.max_detections if config.box_head.enabled else config.rpn.post_nms_top_k_test

    def to_json(self) -> dict[str, Any]:
        """Everything, and what the inputs and outputs are, for people and other programs."""
        plain = {
            name: value
            for name, value in vars(self).items()
            if name not in ("config", "categories", "inputs", "outputs")
        }
        settings = asdict(self.config.input)
        return {
            "format": FORMAT,
            **plain,
            "inputs": {name: INPUTS[name] for name in self.inputs},
            "outputs": {name: OUTPUTS[name] for name in self.outputs},
            "categories": self.categories.to_coco(),
            "preprocessing": {**settings, "resize": "bilinear, half-pixel centres", "order": "RGB"},
            "default_max_detections": self.default_max_detections,
            "mask_paste": {"rule": self.config.mask_head.paste, "threshold": self.config.mask_head.threshold},
            "config": config_to_dict(self.config),
        }


def read_contract(path: Path) -> tuple[Contract, bytes]:
    """What an .onnx file says of itself, and its bytes.

    Raises:
        UserError: no such file, a damaged one, or one that `maskrcnn export` did not write, or in another version.
    """
    content, metadata = read_onnx(path)
    contract = contract_of(path, metadata)
    if graph_checksum(content) != contract.graph_crc32:
        raise UserError(f"{path}: the graph does not match its checksum, so the file is damaged; use another copy")
    return contract, content


def contract_of(path: Path, metadata: Mapping[str, str]) -> Contract:
    """What the metadata of an .onnx file say.

    Raises:
        UserError: it was not written by `maskrcnn export`, or by another version.
    """
    text = metadata.get(KEY)
    if text is None or len(text) > LONGEST:
        raise UserError(
            f"{path}: this .onnx file was not written by maskrcnn export (no settings and categories in it); "
            "export the model again"
        )
    try:
        return _parsed(path, json.loads(text))
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected settings and categories in the metadata; problem: {brief(error)}") from None


def _parsed(path: Path, content: Mapping[str, Any]) -> Contract:
    if content["format"] != FORMAT:
        raise UserError(
            f"{path}: exported in format {brief(content['format'])} by maskrcnn {brief(content.get('package'))}, this "
            f"version reads format {FORMAT}; export the model again with this version"
        )
    try:
        contract = Contract(
            config_from_dict(content["config"]),
            Categories.from_coco(content["categories"]),
            tuple(map(str, content["inputs"])),
            tuple(map(str, content["outputs"])),
            tuple(map(str, content["branches"])),
            str(content["name"]),
            dict(content["summary"]),
            str(content["package"]),
            int(content["graph_crc32"]),
            str(content["precision"]),
            dict(content["measured"]),
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if set(contract.inputs) - INPUTS.keys() or set(contract.outputs) - OUTPUTS.keys():
        raise UserError(f"{path}: expected inputs and outputs that this version knows; update maskrcnn")
    return contract
