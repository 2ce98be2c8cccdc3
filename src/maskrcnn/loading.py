"""Models by name or file, ready to predict. PyTorch is imported only where a network is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.files import file_hash
from maskrcnn.settings import nearest
from maskrcnn.structures import Categories

if TYPE_CHECKING:
    from maskrcnn.model import Model
    from maskrcnn.runtime.model import ExportedModel

_BUNDLED = Path(__file__).parent / "weights" / "bundled"


def load(
    name_or_path: str | PathLike[str], device: str = "auto", precision: str = "float32", *, accelerate: bool = True
) -> Model | ExportedModel:
    """A model, ready to predict.

    Args:
        name_or_path: a bundled model's name, such as "nuclei"; a published one's, such as
            "torchvision/maskrcnn_resnet50_fpn_v2", which is downloaded on first use; a .safetensors file; the folder
            of a training run, whose best model is taken, else its last; or an .onnx file that `maskrcnn export` wrote,
            which needs no PyTorch.
        device: "auto" (a CUDA GPU if there is one), "cpu", "cuda", "cuda:1", ...; for an .onnx file "onnxruntime" or
            "openvino" ("auto": the first of these that is installed).
        precision: "float32"; "bfloat16" for GPUs and for CPUs with AMX, where it takes a third to six tenths of the
            time, or "float16" for GPUs: their results differ a little.
        accelerate: False: the network as it was trained, slower and with the same results, whose loss can be computed
            and which can be saved, exported and trained further.

    Raises:
        UserError: no such model, device or precision, a damaged file, or no network.
    """
    name = fspath(name_or_path)
    if is_exported(name):
        return _load_exported(name, device, precision, accelerate)
    return load_network(name, device, precision, accelerate=accelerate)


def load_network(
    name_or_path: str | PathLike[str], device: str = "auto", precision: str = "float32", *, accelerate: bool = True
) -> Model:
    """As `load`, for what needs the network itself.

    Raises:
        UserError: as `load`, and for an exported model.
    """
    name = fspath(name_or_path)
    if is_exported(name):
        raise UserError(f"{name}: expected a network, got an exported one; give the model that it was exported from")
    with _naming_pytorch():
        from maskrcnn.acceleration import for_prediction
        from maskrcnn.devices import resolve_device, resolve_precision
        from maskrcnn.model import Model
        from maskrcnn.weights.checkpoint import load_model
        from maskrcnn.weights.hub import is_published, load_published
    target = resolve_device(device)
    dtype = resolve_precision(precision, target)
    read = load_published(name) if is_published(name) else load_model(find_model(name))
    network, config, categories, summary = read
    if accelerate:
        for_prediction(network, target, dtype)
    return Model(network, categories, config, target, summary, name, dtype, accelerate=accelerate)


def is_exported(name_or_path: str | PathLike[str]) -> bool:
    """Whether this names an exported model."""
    return fspath(name_or_path).lower().endswith(".onnx")


def _load_exported(name: str, device: str, precision: str, accelerate: bool) -> ExportedModel:
    from maskrcnn.runtime.model import load_exported

    if precision != "float32":
        raise UserError(f"precision: expected float32, in which an exported model is computed, got {precision}")
    if not accelerate:
        raise UserError("accelerate=False: an exported model has no network; give the model that it was exported from")
    return load_exported(Path(name).expanduser(), device, name)


@contextmanager
def _naming_pytorch() -> Iterator[None]:
    """Without PyTorch, say what can be done without it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise UserError(
            "PyTorch is not installed, so exported models alone (.onnx) can be used; install it: pip install torch"
        ) from None


def model_hash(name_or_path: str | PathLike[str]) -> str:
    """The SHA-256 of a model's file, hexadecimal.

    Raises:
        UserError: no such model, or a file that is none.
    """
    name = fspath(name_or_path)
    if is_exported(name):
        return file_hash(Path(name).expanduser(), "an .onnx file")
    with _naming_pytorch():
        from maskrcnn.weights.checkpoint import read_header
        from maskrcnn.weights.hub import fetch, is_published
    if is_published(name):
        return file_hash(fetch(name))
    path = find_model(name)
    read_header(path)
    return file_hash(path)


class ModelFacts(NamedTuple):
    """A model's classes, what its training had to say, and its settings."""

    categories: Categories
    summary: dict[str, Any]
    config: Config


def model_facts(name_or_path: str | PathLike[str]) -> ModelFacts:
    """What a model is, without reading the weights of a file of ours.

    Raises:
        UserError: no such model.
    """
    name = fspath(name_or_path)
    if is_exported(name):
        from maskrcnn.runtime.contract import read_contract

        contract, _ = read_contract(Path(name).expanduser())
        return ModelFacts(contract.categories, contract.summary, contract.config)
    with _naming_pytorch():
        from maskrcnn.weights.checkpoint import read_header
        from maskrcnn.weights.hub import is_published, load_published
    if is_published(name):
        published = load_published(name)
        return ModelFacts(published.categories, published.summary, published.config)
    config, categories, summary = read_header(find_model(name))
    return ModelFacts(categories, summary, config)


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
