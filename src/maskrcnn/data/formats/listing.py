"""The files of a data folder: listed once, looked for by ending or by the names that label files state."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

from maskrcnn.data.channels import UNKNOWN
from maskrcnn.data.coco_annotations import Annotations, load_coco
from maskrcnn.data.file_names import ImageFolder, is_safe_name
from maskrcnn.data.windowed.files import labelled_header
from maskrcnn.errors import UserError
from maskrcnn.structures import Size
from maskrcnn.structures.spelling import by_letters, letters_of

PICTURES = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".npy")

_ARRAY, _PICKLED = ".npy", "_seg.npy"
"""An array may be a picture's cache (ultralytics), and Cellpose pickles its own labels."""

MAX_FILES = 2_000_000
"""More are not listed; the largest public data sets have fewer in one folder."""


class Listing:
    """A data folder, or one label file and the folder it lies in.

    Attributes:
        path: what the user named.
        root: the folder; names are relative to it, with forward slashes.
        names: all regular files below it, sorted, hidden ones left out.
        chosen: the one label file, where the user named a file.
        colours: the file that names the colours of masks, where the user named one.
        keypoints: whether labels with keypoints are wanted, where others of the same images have none.
    """

    def __init__(self, path: Path, colours: Path | None = None, keypoints: bool = False) -> None:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path")
        self.path = path
        self.root = path if path.is_dir() else path.parent
        self.chosen = None if path.is_dir() else path.name
        self.colours, self.keypoints = colours, keypoints
        self.names = sorted(_walk(self.root))
        self._parsed: tuple[str, Any] = ("", None)
        self._large: dict[str, Any] = {}
        self._folders: dict[str, ImageFolder] = {}

    def labels(self, *endings: str) -> list[str]:
        """The files with one of these endings; only the chosen one where the user named a file."""
        names = self.names if self.chosen is None else [self.chosen]
        return [name for name in names if name.lower().endswith(endings)]

    def pictures(self, under: str = "") -> list[str]:
        """The image files, by their endings, in a folder and below; an array only where no other file has its name."""
        start = f"{under}/" if under else ""
        named = [name for name in self.names if name.startswith(start) and name.lower().endswith(PICTURES)]
        others = {_without_ending(name) for name in named if not name.lower().endswith(_ARRAY)}
        return [name for name in named if not _is_no_picture(name, others)]

    def has(self, name: str) -> bool:
        return name in self._known

    def spelled(self, name: str) -> str | None:
        """The listed file that has this name, or else the only one with it in other letters: `a.TXT`, `é` of a Mac."""
        return name if self.has(name) else self._by_letters.get(letters_of(name))

    def file(self, name: str) -> Path:
        """The path of a listed file: whatever a label file states, nothing else is opened.

        Raises:
            UserError: it is not in the folder.
        """
        if not self.has(name):
            raise UserError(f"{name}: expected a file of this folder, found none; check the name")
        return self.root / name

    def json(self, name: str) -> Any:
        """The content of a JSON file, as `load_coco` reads it.

        The last one is remembered, and each whose annotations stay in the file: every form asks, and then the reader.
        """
        if name in self._large:
            return self._large[name]
        if self._parsed[0] != name:
            content = load_coco(self.file(name))
            if isinstance(content, dict) and isinstance(content.get("annotations"), Annotations):
                self._large[name] = content
                return content
            self._parsed = (name, content)
        return self._parsed[1]

    def peek(self, name: str) -> Any:
        """The same to recognise a form by: None where the file is broken."""
        try:
            return self.json(name)
        except UserError:
            return None

    def picture(self, stated: str, beside: str = "", split: str = "") -> str:
        """The image file that a label file in the folder `beside` means; the stated name where there is none.

        Looked for beside the label file, in `images` there, at the top, in `images` there: a file of just this name,
        before all in a folder `split` (such as `val2017`) of any of these; then one that the name means by its end or
        in another spelling; and last as the only file of its last part.
        """
        bases = [*dict.fromkeys((beside, _joined(beside, "images"), "", "images"))]
        of_split = [_joined(base, split) for base in bases] if split else []
        for base in (*of_split, *bases):
            if self.has(inside := _joined(base, stated)):
                return inside
        for base in (*bases, *of_split):
            found = self._folder(base).find(stated)
            if found is not None and self.has(inside := _joined(base, found.name)):
                return inside
        same = self._by_file_name.get(_last_part(stated), [])
        return same[0] if len(same) == 1 else _joined(beside, stated)

    def first_of_name(self, name: str) -> str:
        """The first file anywhere whose last part is `name`; empty where there is none."""
        return self._first_of_name.get(name, "")

    def picture_of_stem(self, stem: str) -> str | None:
        """The image file `stem` with any of the usual endings, in small or capital letters; `é` of a Mac is `é`."""
        return self._by_stem.get(normalize("NFC", stem))

    def size(self, name: str, drawn: str | Size | None = None) -> Size | None:
        """(height, width) from an image file's header; None where there is no readable one.

        With what the labels were drawn on (the file of a mask, or a stated size): that of the stored pixels where these
        alone fit it, not the upright picture.
        """
        if not self.has(name):
            return None
        try:
            header = labelled_header(self.root / name, UNKNOWN)
        except UserError:
            return None
        drawn = self.size(drawn) if isinstance(drawn, str) else drawn
        return header.raw_size if drawn is not None and header.is_labelled_raw(drawn) else header.size

    def _folder(self, name: str) -> ImageFolder:
        """A folder below, the same one each time: it lists its files once, for all pictures that are looked for."""
        if name not in self._folders:
            self._folders[name] = ImageFolder(self.root / name)
        return self._folders[name]

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _first_of_name(self) -> dict[str, str]:
        return {_last_part(name): name for name in reversed(self.names)}

    @cached_property
    def _by_letters(self) -> dict[str, str | None]:
        return by_letters(self.names)

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.pictures():
            found.setdefault(_last_part(name), []).append(name)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        return {normalize("NFC", _without_ending(name)): name for name in reversed(self.pictures())}


def nearest(names: Iterable[str]) -> str | None:
    """The file nearest to the top, and of several the first by name: those below may belong to data of their own."""
    return min(names, key=lambda name: (name.count("/"), name), default=None)


def folder_of(name: str) -> str:
    """The folder of a name; empty for the top."""
    return name.rpartition("/")[0]


def stem_of(name: str) -> str:
    """The last part of a name without its ending."""
    return PurePosixPath(name).stem


def around(name: str, folder: str) -> tuple[str, str] | None:
    """What a name has above and below the last `folder`, in small or capital letters; None where it is not in one."""
    parts = name.split("/")
    for place in reversed(range(len(parts) - 1)):
        if parts[place].lower() == folder:
            return "/".join(parts[:place]), "/".join(parts[place + 1 :])
    return None


def split_of(name: str) -> str:
    """The split that a folder on the way to a file is named after: train, val or test; empty without one."""
    for part in reversed(name.split("/")[:-1]):
        for split, spellings in _SPLITS.items():
            if part.lower() in spellings:
                return split
    return ""


def split_folder_of(name: str) -> str:
    """The folder that holds the pictures of a label file such as `instances_val2017.json`; empty for other names."""
    folder = stem_of(name).rpartition("_")[2]
    return folder if split_of(f"{folder}/x") else ""


_SPLITS = {
    "train": ("train", "training", "train2017", "train2014"),
    "val": ("val", "valid", "validation", "val2017", "val2014"),
    "test": ("test", "testing", "test2017"),
}


def _walk(root: Path) -> Iterator[str]:
    """The files of all folders below, also of those that links lead to."""
    count, home, reached = 0, root.resolve(), set[Path]()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith((".", "__MACOSX")) and _leads_on(Path(folder, name), home, reached)
        )
        for file in files:
            name = (Path(folder) / file).relative_to(root).as_posix()
            if file.startswith(".") or not is_safe_name(name):
                continue
            count += 1
            if count > MAX_FILES:
                raise UserError(
                    f"{root}: expected a data folder, found more than {MAX_FILES} files; name a folder below"
                )
            yield name


def _leads_on(folder: Path, home: Path, reached: set[Path]) -> bool:
    """Whether it is no link, or one to a folder elsewhere that no other has led to: none goes in a circle."""
    if not folder.is_symlink():
        return True
    target = folder.resolve()
    if target in reached or target.is_relative_to(home) or home.is_relative_to(target):
        return False
    reached.add(target)
    return True


def _without_ending(name: str) -> str:
    return name.rpartition(".")[0]


def _is_no_picture(name: str, others: Container[str]) -> bool:
    small = name.lower()
    return small.endswith(_ARRAY) and (small.endswith(_PICKLED) or _without_ending(name) in others)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _last_part(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]
