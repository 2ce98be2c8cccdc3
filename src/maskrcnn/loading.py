"""Models by name or file, ready to predict."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from maskrcnn.acceleration import for_prediction
from maskrcnn.devices import resolve_device, resolve_precision
from maskrcnn.errors import UserError
from maskrcnn.files import file_hash
from maskrcnn.model import Model
from maskrcnn.settings import nearest
from maskrcnn.structures import Categories
from maskrcnn.weights.checkpoint import load_model, read_header
from maskrcnn.weights.hub import fetch, is_published, load_published

_BUNDLED = Path(__file__).parent / "weights" / "bundled"


def load(
    name_or_path: str | PathLike[str], device: str = "auto", precision: str = "float32", *, accelerate: bool = True
) -> Model:
    """A model, ready to predict.

    Args:
        name_or_path: a bundled model's name, such as "nuclei"; a published one's, such as
            "torchvision/maskrcnn_resnet50_fpn_v2", which is downloaded on first use; a .safetensors file; or the folder
            of a training run, whose best model is taken, else its last.
        device: "auto" (a CUDA GPU if there is one), "cpu", "cuda", "cuda:1", ...
        precision: "float32"; "bfloat16" for GPUs and for CPUs with AMX, where it takes a third to six tenths of the
            time, or "float16" for GPUs: their results differ a little.
        accelerate: False: the network as it was trained, slower and with the same results, whose loss can be computed
            and which can be saved and trained further.

    Raises:
        UserError: no such model, device or precision, a damaged file, or no network.
    """
    target = resolve_device(device)
    dtype = resolve_precision(precision, target)
    name = fspath(name_or_path)
    read = load_published(name) if is_published(name) else load_model(find_model(name))
    network, config, categories, summary = read
    if accelerate:
        for_prediction(network, target, dtype)
    return Model(network, categories, config, target, summary, name, dtype, accelerate=accelerate)


def model_hash(name_or_path: str | PathLike[str]) -> str:
    """The SHA-256 of a model's file, hexadecimal.

    Raises:
        UserError: no such model.
    """
    name = fspath(name_or_path)
    return file_hash(fetch(name) if is_published(name) else find_model(name), "a .safetensors file")


def model_facts(name_or_path: str | PathLike[str]) -> tuple[Categories, dict[str, Any]]:
    """A model's classes and what its training had to say, without reading the weights of a file of ours.

    Raises:
        UserError: no such model.
    """
    name = fspath(name_or_path)
    if is_published(name):
        published = load_published(name)
        return published.categories, published.summary
    _, categories, summary = read_header(find_model(name))
    return categories, summary


def bundled_models() -> dict[str, Path]:
    """The models that come with the package, by name."""
    return {path.stem: path for path in sorted(_BUNDLED.glob("*.safetensors"))}


def find_model(name: str) -> Path:
    """The file of a bundled model, of a training run in a folder, or of the path that `name` is.

    Raises:
        UserError: `name` is neither, or a folder without a model.
    """
    bundled, path = bundled_models(), Path(name).expanduser()
    if name in bundled:
        return bundled[name]
    if path.is_dir():
        return _model_of_run(path)
    if path.exists() or path.suffix or path.name != name:  # it was meant as a file: reading it says what is wrong
        return path
    hint = nearest(name, bundled) if bundled else "none is bundled"
    raise UserError(f"model {name!r}: neither a file nor a bundled model; {hint}")


def _model_of_run(folder: Path) -> Path:
    """The best model where training has found one, else the last."""
    for name in ("best.safetensors", "last.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise UserError(
        f"{folder}: expected a model file, or the folder of a training run with best.safetensors or last.safetensors; "
        "there is neither in it"
    )
