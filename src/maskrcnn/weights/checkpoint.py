"""A trained model as one .safetensors file: weights, settings, categories, and how it was trained.

The header (JSON) holds `format`, `package` (the version that wrote it), `config`, `categories` (COCO's list)
and `summary` (facts about the training: steps, metrics, ...). Nothing else is needed to use the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from maskrcnn.build import build_model_without_memory
from maskrcnn.config import Config, DataConfig
from maskrcnn.config.data import DATA_PATHS
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.settings import config_from_dict, config_to_dict
from maskrcnn.structures import Categories
from maskrcnn.text import brief, one_line
from maskrcnn.weights.finite import require_finite
from maskrcnn.weights.tensor_file import open_tensors, write_tensors

FORMAT = 2
"""Goes up when another version of the package could not read the file any more.

2: settings of ResNets in a section of their own, number of input channels."""


class Checkpoint(NamedTuple):
    """What a model file holds."""

    model: MaskRCNN
    config: Config
    categories: Categories
    summary: dict[str, Any]


class SavedWeights(NamedTuple):
    """The same before there is a model; without categories it may be a backbone alone."""

    weights: dict[str, Tensor]
    config: Config
    categories: Categories
    summary: dict[str, Any]


def save_model(
    path: Path,
    model: nn.Module,
    config: Config,
    categories: Categories,
    summary: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write a model to `path`, atomically.

    Args:
        path: a .safetensors file.
        model: what `build_model` returned for this config and these categories, trained or not.
        config: its settings.
        categories: its classes.
        summary: JSON-able facts about the training.
        half: store matrices and convolutions as float16, half the size; `load_model` gives float32 back.
            Biases, norms and statistics stay float32: they are small, and variances can leave float16's range.

    Raises:
        UserError: the system refused to write; `path` is as it was before.
    """
    save_weights(path, model.state_dict(), config, categories, summary, half=half)


def save_weights(
    path: Path,
    weights: Mapping[str, Tensor],
    config: Config,
    categories: Categories,
    summary: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """As `save_model`, from a `state_dict`; without categories it may be a backbone's alone, to start a training."""
    header = {
        "format": FORMAT,
        "package": version("maskrcnn"),
        "config": config_to_dict(config),
        "categories": categories.to_coco(),
        "summary": dict(summary),
    }
    write_tensors(path, {n: _halve(t) for n, t in weights.items()} if half else weights, header)


def load_model(path: Path) -> Checkpoint:
    """Read what `save_model` wrote; the model is float32, on the CPU, in eval mode.

    Raises:
        UserError: the file is missing, damaged, foreign, from a newer version, a backbone alone, or its weights do not
            fit its settings.
    """
    file = open_tensors(path)
    config, categories, summary = _parse_header(path, file.header)
    if not categories.ids:
        raise UserError(f"{path}: a backbone without heads, which cannot predict; train from it with --init")
    model = _empty_model(config, categories, file.shapes, str(path))
    weights = file.tensors()
    require_finite(weights, str(path))
    _fill(model, weights)
    return Checkpoint(model.eval(), config, categories, summary)


def model_of_weights(config: Config, categories: Categories, weights: Mapping[str, Tensor], source: str) -> MaskRCNN:
    """A model of its own float32 copy of `weights`; a `UserError` that names `source` unless they fit the settings.

    Nothing is drawn at random only to be overwritten, and the weights lie side by side in memory.
    """
    model = _empty_model(config, categories, _shapes(weights), source)
    _fill(model, weights)
    return model


def read_header(path: Path) -> tuple[Config, Categories, dict[str, Any]]:
    """Settings, classes and summary, without the weights. Raises as `read_checkpoint`."""
    return _parse_header(path, open_tensors(path).header)


def read_checkpoint(path: Path) -> SavedWeights:
    """What `save_model` or `save_weights` wrote, without building a model.

    Raises:
        UserError: the file is missing, damaged, foreign, or from a newer version.
    """
    file = open_tensors(path)
    header = _parse_header(path, file.header)
    weights = file.tensors()
    require_finite(weights, str(path))
    return SavedWeights(weights, *header)


def _parse_header(path: Path, header: Mapping[str, Any]) -> tuple[Config, Categories, dict[str, Any]]:
    _check_format(path, header)
    try:
        config = _without_paths(config_from_dict(header["config"]))
        categories = Categories.from_coco(header["categories"])
        return config, categories, dict(header["summary"])
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: expected config, categories and summary in the header; problem: {brief(error)}"
        ) from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _without_paths(config: Config) -> Config:
    """Where the training data lay says nothing here, and a model from elsewhere must not choose what is opened."""
    return replace(config, data=replace(config.data, **{name: getattr(DataConfig(), name) for name in DATA_PATHS}))


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy `weights` into `model`; a `UserError` that names `source` unless names and shapes agree."""
    _require_fit(_shapes(model.state_dict()), _shapes(weights), source)
    model.load_state_dict(weights)


_Shapes = Mapping[str, tuple[int, ...]]


def _shapes(weights: Mapping[str, Tensor]) -> _Shapes:
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


def _require_fit(expected: _Shapes, found: _Shapes, source: str) -> None:
    for problem, names in (
        ("lacks", expected.keys() - found.keys()),
        ("has the unknown weight", found.keys() - expected.keys()),
    ):
        if names:
            raise UserError(
                f"{source}: {problem} {one_line(min(names))} ({len(names)} such); "
                "it belongs to a model with other settings"
            )
    for name, shape in expected.items():
        if shape != found[name]:
            raise UserError(
                f"{source}: {name} has shape {brief(found[name])}, expected {shape}; "
                "it belongs to a model with other settings or classes"
            )


def _empty_model(config: Config, categories: Categories, found: _Shapes, source: str) -> MaskRCNN:
    """The model of these settings without memory for its weights, once they are seen to fit."""
    try:
        model = build_model_without_memory(config, len(categories), categories.num_keypoints)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    _require_fit(_shapes(model.state_dict()), found, source)
    return model


def _fill(model: MaskRCNN, weights: Mapping[str, Tensor]) -> None:
    copies = {name: _copy_as(tensor, weights[name]) for name, tensor in model.state_dict().items()}
    model.load_state_dict(copies, assign=True)


def _copy_as(expected: Tensor, tensor: Tensor) -> Tensor:
    """With the dtype and the order in memory of `expected`, which itself has no memory."""
    return torch.empty_strided(expected.shape, expected.stride(), dtype=expected.dtype).copy_(tensor)


def _halve(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor


def _check_format(path: Path, header: Mapping[str, Any]) -> None:
    written = header.get("format")
    if written == FORMAT:
        return
    if "training_state" in header:
        raise UserError(
            f"{path}: expected a model, got the state of a training, with which only train --resume goes on; its "
            "models (best.safetensors, last.safetensors) lie in the run's folder"
        )
    if isinstance(written, int):
        package = header.get("package")
        raise UserError(
            f"{path}: written in format {written} by maskrcnn {package}, this version reads format {FORMAT}; "
            + ("update maskrcnn" if written > FORMAT else f"use maskrcnn {package}, or train or import the model anew")
        )
    raise UserError(f"{path}: not a model file of maskrcnn (format: {brief(written)}, expected {FORMAT})")
