"""Export: record, verify, and only then write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.export.recording import checksum, names_of, plain_copy, record, require_onnx, with_contract
from maskrcnn.export.refusals import require_exportable
from maskrcnn.export.verification import verify
from maskrcnn.files import make_folder, write_atomically
from maskrcnn.json_values import load_json
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.runtime.contract import KEY, Contract
from maskrcnn.runtime.engines import open_engine
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.runtime.onnx_file import read_onnx
from maskrcnn.structures import Categories


def export_network(
    network: MaskRCNN,
    config: Config,
    categories: Categories,
    path: str | PathLike[str],
    *,
    name: str = "",
    summary: Mapping[str, Any] | None = None,
    device: str = "auto",
    say: Callable[[str], object] = print,
) -> Contract:
    """Write a network as `path`, an .onnx file, and what it is as a .json file beside it.

    Args:
        network: the textbook's, not made ready for prediction.
        config: its settings.
        categories: its classes.
        path: ends in .onnx.
        name: for people.
        summary: what its training had to say.
        device: the engine that verifies, see `runtime.engines`.
        say: gets a line for each step.

    Raises:
        UserError: a model that has no such form, a missing library, a graph that differs from the network, a place that
            cannot be written to, or files of others there. Nothing is written then.
    """
    path = require_place(path)
    require_onnx()
    require_exportable(network, config)
    plain = plain_copy(network)
    content, contract = recorded(plain, config, categories, name or path.stem, summary)
    say(f"recorded: {len(content) / 1e6:.1f} MB, {', '.join(contract.outputs)}")
    engine = open_engine(str(path), device, content, contract.outputs)
    differences = verify(deepcopy(network).cpu().eval(), ExportedModel(engine, contract))
    say(f"verified with {engine.name}: {differences}")
    differences.require_small()
    contract = replace(contract, measured={"verified_with": engine.name, **differences.to_json()})
    write_exported(path, content, contract)
    say(f"{path} and {path.with_suffix('.json').name}")
    return contract


def require_place(path: str | PathLike[str]) -> Path:
    """A path that an .onnx file can be written to, and its .json file beside it.

    Raises:
        UserError: another ending, or a file there that no export has written, or that is damaged.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise UserError(f"{path}: expected a file name that ends in .onnx; name it {path.stem}.onnx")
    for file, is_ours in ((path, _is_exported), (path.with_suffix(".json"), _is_contract)):
        if file.exists() and not is_ours(file):
            raise UserError(
                f"{file}: would be replaced, and it is no whole file that maskrcnn export wrote; delete it, or name "
                "another file"
            )
    make_folder(path.parent)
    return path


def _is_exported(file: Path) -> bool:
    try:
        return KEY in read_onnx(file)[1]
    except UserError:
        return False


def _is_contract(file: Path) -> bool:
    try:
        content = load_json(file)
    except UserError:
        return False
    return isinstance(content, dict) and {"format", "package", "graph_crc32"} <= content.keys()


def write_exported(path: Path, content: bytes, contract: Contract) -> None:
    """The two files; the one that is used comes last."""
    text = json.dumps(contract.to_json(), indent=1, sort_keys=True)
    write_atomically(path.with_suffix(".json"), text + "\n")
    write_atomically(path, with_contract(content, contract))


def recorded(
    plain: MaskRCNN, config: Config, categories: Categories, name: str, summary: Mapping[str, Any] | None = None
) -> tuple[bytes, Contract]:
    """The graph of a network from `plain_copy`, and what it is; not verified."""
    content = record(plain, config)
    inputs, outputs = names_of(content)
    branches = (*plain.roi_branches, *plain.dense_branches)
    contract = Contract(config, categories, inputs, outputs, branches, name, dict(summary or {}))
    contract = replace(contract, graph_crc32=checksum(content))
    return content, contract
