"""Damaged and hostile label files in every form: a line that says what is wrong, or a report, and nothing else.

No traceback, nothing read outside the folder, no allocation that a file only claims.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import SCENES, labelme, picture, write

from maskrcnn.data.coco import read_coco
from maskrcnn.data.formats.listing import Listing
from maskrcnn.data.formats.table import FORMATS, read_labels, recognise
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError

TEXT = (".json", ".geojson", ".xml", ".txt", ".yaml", ".csv")
OUTSIDE = "../" * 12 + "etc/passwd"


def load_mutations() -> ModuleType:
    path = Path(__file__).parents[1] / "mutate.py"
    spec = importlib.util.spec_from_file_location("mutate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutate = load_mutations()

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str):
        _opened.append(arguments[0])


sys.addaudithook(_note)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The files that are opened during a test."""
    global _opened
    _opened = []
    yield _opened
    _opened = None


def damaged(content: bytes, path: Path, generator: np.random.Generator) -> bytes:
    """A text file with strange values or strange characters, or a picture with other bytes."""
    if path.suffix in (".json", ".geojson") and generator.random() < 0.7:
        change = mutate.JSON_MUTATIONS[generator.integers(len(mutate.JSON_MUTATIONS))]
        try:
            text = change(json.loads(content), generator)
        except (KeyError, TypeError, ValueError, IndexError):  # made for COCO's files: not every change fits every form
            return mutate.flip_bytes(content, generator)
        return bytes(text.encode("utf-8", "surrogatepass"))
    if path.suffix in TEXT and generator.random() < 0.7:
        place = int(generator.integers(len(content)))
        extra = [b"", b"-", b"9" * 400, b"nan", b"\0", b"<", b"&x;", b"1e308", b",,", b"../" * 50, "\u202e".encode()]
        return (
            content[:place] + extra[generator.integers(len(extra))] + content[place + int(generator.integers(0, 9)) :]
        )
    return bytes(mutate.flip_bytes(content, generator))


def outcome(folder: Path, form: str) -> str:
    try:
        found = recognise(folder)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        found = form
    try:
        content = FORMATS[found].read(Listing(folder))
        for line in content.report.lines:
            assert line.startswith(str(folder)) and line.isprintable() and len(line) < 1000
        file = folder.parent / "content.json"
        file.write_text(json.dumps(content.coco))
        read_coco(file, content.folder)
    except UserError as error:
        assert len(str(error).splitlines()) == 1 and str(error).isprintable()
        return "refused"
    return "reported" if content.report.counts.total() else "read"


@pytest.mark.parametrize("scene", SCENES)
def test_damaged_files(tmp_path: Path, scene: str, opened: list[str]) -> None:
    form, make = SCENES[scene]
    folder = tmp_path / "data"
    make(folder)
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    labels = [path for path in files if path.suffix in TEXT] or list(files)
    outcomes = {"read": 0, "reported": 0, "refused": 0}
    for number in range(60):
        generator = np.random.default_rng([number, len(scene)])
        target = (
            labels[generator.integers(len(labels))] if generator.random() < 0.8 else list(files)[number % len(files)]
        )
        target.write_bytes(damaged(files[target], target, generator))
        outcomes[outcome(folder, form)] += 1
        target.write_bytes(files[target])
    assert outcomes["read"] < 60, "the damage is none"
    assert not [name for name in opened if name.startswith("/etc") or "passwd" in name]


def escaping(content: str) -> str:
    """The names of images in a label file replaced by one that leads out."""
    for name in ("0a1b2c3d-a.png", "a.png", "a.jpg", "images/train", "a_mask_1.png", "a_m0.png", "a/cat.png"):
        content = content.replace(name, OUTSIDE)
    return content


@pytest.mark.parametrize(
    "scene", [name for name in SCENES if name not in ("label-images", "object-masks", "cityscapes")]
)
def test_names_that_lead_out_of_the_folder(tmp_path: Path, scene: str, opened: list[str]) -> None:
    form, make = SCENES[scene]
    make(tmp_path / "data")
    for path in (tmp_path / "data").rglob("*"):
        if path.suffix in TEXT:
            path.write_text(escaping(path.read_text()))
    outcome(tmp_path / "data", form)
    assert not [name for name in opened if name.startswith("/etc") or "passwd" in name]


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header says it is this large; its data is empty."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_mask_that_claims_a_billion_pixels(tmp_path: Path) -> None:
    labelme(tmp_path)
    content = json.loads((tmp_path / "a.json").read_text())
    content["shapes"][1]["mask"] = base64.b64encode(png_that_claims(100_000, 100_000)).decode()
    write(tmp_path / "a.json", content)
    read = read_labels(tmp_path)
    assert read.report.counts == {Fault.SHAPE_MALFORMED: 1} and "pixels" in read.report.lines[0]


@pytest.mark.parametrize(
    "scene",
    [
        "label-images",
        "object-masks",
        "voc",
        "panoptic",
        "cityscapes",
        "colour-masks",
        "mapillary",
        "open-images",
        "ade20k",
    ],
)
def test_a_mask_file_that_claims_a_billion_pixels(tmp_path: Path, scene: str) -> None:
    form, make = SCENES[scene]
    make(tmp_path)
    masks = [path for path in tmp_path.rglob("*.png") if not {"images", "JPEGImages", "leftImg8bit"} & set(path.parts)]
    for path in masks:
        path.write_bytes(png_that_claims(100_000, 100_000))
    content = read_labels(tmp_path, form)
    assert content.coco["annotations"] == [] and content.report.counts[Fault.MASK_FILE] > 0


def test_base64_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskrcnn.data.formats.bitmaps.MAX_BASE64", 1000)
    labelme(tmp_path)
    content = json.loads((tmp_path / "a.json").read_text())
    content["shapes"][1]["mask"] = "A" * 1001
    write(tmp_path / "a.json", content)
    assert read_labels(tmp_path).report.counts == {Fault.SHAPE_MALFORMED: 1}


def test_a_folder_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskrcnn.data.formats.listing.MAX_FILES", 5)
    for number in range(6):
        picture(tmp_path / f"{number}.png")
    with pytest.raises(UserError, match="more than 5 files"):
        recognise(tmp_path)


def test_names_of_files_reach_no_terminal_as_they_are(tmp_path: Path) -> None:
    labelme(tmp_path)
    write(tmp_path / "b\x1b[2J\n.json", "broken")
    (line,) = read_labels(tmp_path).report.lines
    assert line.isprintable() and "b\\x1b[2J" in line


@pytest.mark.parametrize("target", [".", "..", "../..", "sub"])
def test_links_in_a_circle_are_not_followed(tmp_path: Path, target: str) -> None:
    """A link to a folder above would never end; what lies inside is there already."""
    labelme(tmp_path / "data/sub")
    (tmp_path / "data/again").symlink_to(tmp_path / "data" / target)
    assert Listing(tmp_path / "data").names == ["sub/a.json", "sub/a.png"]


def test_links_to_folders_elsewhere_are_followed_once(tmp_path: Path) -> None:
    """As people put large folders of images together."""
    picture(tmp_path / "disk/a.png")
    (tmp_path / "disk/again").symlink_to(tmp_path / "disk")
    (tmp_path / "data").mkdir()
    for name in ("images", "other"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "disk")
    assert Listing(tmp_path / "data").names == ["images/a.png"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b"null", b'"text"', b"{}", b"[]"])
def test_json_that_is_no_label_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match="known form"):
        recognise(tmp_path)
