"""YOLO's data.yaml: the names of the classes and the pictures of each split.

Darknet's obj.data says the same, and names the file of the classes. Folders and list files come in several dialects;
paths never lead out of the folder (Roboflow's `../train/images` is read as `train/images`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from maskrcnn.data.formats.content import SPLITS, ContentBuilder, is_class_name
from maskrcnn.data.formats.listing import PICTURES, Listing, folder_of, nearest, split_of, stem_of
from maskrcnn.data.formats.text_files import decoded, numbered_lines, read_text
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular, read_regular
from maskrcnn.text import brief

MAX_YAML, MAX_LIST = 2**20, 64 * 2**20
"""Bytes."""

NOTHING = ("", "~", "null")
"""What stands for no value, in small letters."""


@dataclass(frozen=True)
class YoloSettings:
    """The content of data.yaml.

    Attributes:
        file: its name in the listing; empty where there is none.
        stated: what it says; every value is text, so that a class may be called `no` or 10.
        broken: files that would name classes and cannot be read, with what is wrong; `file` may be one, and states
            nothing then.
    """

    file: str = ""
    stated: dict[str, Any] = field(default_factory=dict)
    broken: Mapping[str, UserError] = field(default_factory=dict)


def find_settings(listing: Listing) -> YoloSettings | None:
    """The file that names classes; None where there is none.

    Of several, the nearest to the top: others belong to programs or to data of their own, and so a broken one there is
    not replaced by one further down. In a folder, one that can be read, that names splits, and is first by its name.
    """
    stated: dict[str, dict[str, Any]] = {}
    broken: dict[str, UserError] = {}
    for name in listing.labels(".yaml", ".yml"):
        try:
            content = _content(listing, name)
        except UserError as error:
            if _is_meant(listing, name):
                broken[name] = error
        else:
            if "names" in content:
                stated[name] = content

    def rank(name: str) -> tuple[int, bool, bool, str]:
        return name.count("/"), name in broken, not any(_places(stated.get(name, {}))), name

    file = min([*stated, *broken], key=rank, default=None)
    return _darknets(listing) if file is None else YoloSettings(file, stated.get(file, {}), broken)


def _darknets(listing: Listing) -> YoloSettings | None:
    """Of `obj.data`, as CVAT's "YOLO 1.1" has it: lines such as `train = data/train.txt`, `names = data/obj.names`.

    Other programs have files of this name too: it counts where it names classes and a split, nearest to the top first.
    """
    files = (name for name in listing.labels(".data") if PurePosixPath(name).name == "obj.data")
    for file in sorted(files, key=lambda name: (name.count("/"), name)):
        with suppress(UserError):
            text = read_text(listing.file(file), MAX_YAML, "a list of settings")
            lines = (line.partition("=") for line in text.splitlines())
            pairs = {key.strip(): value.strip() for key, _, value in lines if value.strip()}
            stated = {split_of(f"{key}/x") or key: value for key, value in pairs.items()}
            if "names" in stated and any(_places(stated)):
                return YoloSettings(file, stated)
    return None


def _content(listing: Listing, name: str) -> dict[str, Any]:
    """Of a small YAML file, all scalars as text; nothing where it is no mapping.

    Raises:
        UserError: it cannot be read, or is no YAML.
    """
    text = read_regular(listing.file(name), MAX_YAML, "a YAML file")
    try:
        content = yaml.load(text, _Loader)
    except RecursionError:
        raise UserError("lists within lists, too deep to be read") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: an escape that is no character
        raise UserError(_problem(error)) from None
    return content if isinstance(content, dict) else {}


def _problem(error: Exception) -> str:
    """What is wrong, and in which line, where that is known."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error).partition("\n")[0]
    start = error.context_mark
    context = "" if start is None else f" {error.context} of line {start.line + 1}"
    return f"line {error.problem_mark.line + 1}: {error.problem}{context}"


class _Loader(yaml.BaseLoader):
    """Makes text, lists and mappings, and nothing else.

    References can make a small file large without end; a settings file needs none.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            text = f"the reference *{event.anchor} is not followed, write out what it stands for"
            raise yaml.MarkedYAMLError(problem=text, problem_mark=event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _is_meant(listing: Listing, name: str) -> bool:
    """Whether a file that cannot be read is YOLO's all the same, as far as its name or a line of it tells."""
    if name == listing.chosen or stem_of(name) == "data":
        return True
    with suppress(UserError, OSError), open_regular(listing.file(name)) as file:
        return re.search(r"""^["']?names["']?\s*:""", decoded(file.read(MAX_YAML)), re.MULTILINE) is not None
    return False


# --- classes ----------------------------------------------------------------------------------------------------


def class_names(settings: YoloSettings, listing: Listing, builder: ContentBuilder) -> list[str]:
    """From a list or a mapping from index to name, or a file that is named; else from classes.txt; else indices."""
    names, file = settings.stated.get("names"), settings.file
    if isinstance(names, dict) and names and (numbered := _numbered(names)):
        return [
            _class_name(numbered.get(index, str(index)), index, file, builder) for index in range(max(numbered) + 1)
        ]
    if isinstance(names, list):
        return [_class_name(name, index, file, builder) for index, name in enumerate(names)]
    stated = _inside(folder_of(file), names) if isinstance(names, str) else []
    listed = next(filter(listing.has, stated), None) or named_classes(listing)
    if listed is None:
        return []
    lines = numbered_lines(read_text(listing.file(listed), MAX_YAML, "a list of class names"))
    return [_class_name(line, index, listed, builder) for index, line in enumerate(lines)]


def named_classes(listing: Listing) -> str | None:
    """The file that has a line for each class."""
    return nearest(name for name in listing.names if name.rpartition("/")[2] in ("classes.txt", "obj.names"))


def _numbered(names: dict[str, Any]) -> dict[int, Any]:
    """A mapping from index to name; empty where it is another one."""
    found = {int(key): name for key, name in names.items() if re.fullmatch(r"\d{1,5}", key)}
    return found if len(found) == len(names) else {}


def _class_name(name: Any, index: int, file: str, builder: ContentBuilder) -> str:
    if is_class_name(name):
        return name
    builder.fault(Fault.CLASS_NUMBERED, f"{file}: class {index}", brief(name))
    return str(index)


# --- splits -----------------------------------------------------------------------------------------------------


def images_of_splits(settings: YoloSettings, listing: Listing, builder: ContentBuilder) -> list[tuple[str, str]]:
    """Images with their splits, as the settings list them; all, by their folders, where they list none.

    Ultralytics wants both `train` and `val`, so that one may stand in for the other: two splits of the same images are
    one, that which the folder is named after, else the first. Where other images are left over, it is a fault.
    """
    found: dict[str, str] = {}
    empty: list[tuple[str, str]] = []
    shared: dict[tuple[str, str], set[str]] = {}
    of_split: dict[str, set[str]] = {}
    for split, place, pictures in _found_places(settings, listing):
        of_split.setdefault(split, set()).update(pictures)
        if not pictures:
            empty.append((split, place))
        for picture in pictures:
            first = found.setdefault(picture, split)
            if first != split:
                shared.setdefault((first, split), set()).add(picture)
    has_others = len(found) < len(listing.pictures())
    stand_ins = [] if has_others else [pair for pair in shared if of_split[pair[0]] == of_split[pair[1]]]
    for pair in stand_ins:
        found |= {picture: pair[1] for picture in shared.pop(pair) if split_of(picture) == pair[1]}
    builder.shared(settings.file, {pair: len(pictures) for pair, pictures in shared.items()})
    fault = Fault.SPLIT_WITHOUT_IMAGES if found else Fault.SPLITS_WITHOUT_IMAGES
    for split, place in empty:
        if split != "test" or has_others:  # Roboflow names one always
            builder.fault(fault, f"{settings.file}: {split}", place)
    if not found:
        found = {name: split_of(name) for name in listing.pictures()}
    return sorted(found.items())


def _places(stated: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each split with the folders and list files that are named for it."""
    for split in SPLITS:
        named = stated.get(split, stated.get("valid") if split == "val" else None)
        for place in named if isinstance(named, list) else [named]:
            if isinstance(place, str) and place.lower() not in NOTHING:
                yield split, place


def _found_places(settings: YoloSettings, listing: Listing) -> list[tuple[str, str, list[str]]]:
    """Each split and place with its images; none where only the end of the place is there, as that of another too."""
    base = f"{folder_of(settings.file)}/{settings.stated.get('path', '')}"
    stated = list(_places(settings.stated))
    found = {place: _found(listing, base, place) for _, place in stated}
    times = Counter(folder for folder, _ in found.values())
    unsure = {place for place, (folder, _) in found.items() if times[folder] > 1 and _is_end(folder, place)}
    return [(split, place, [] if place in unsure else found[place][1]) for split, place in stated]


def _found(listing: Listing, base: str, place: str) -> tuple[str, list[str]]:
    """The folder or list file that a place means, and the images in it, or those that it names."""
    for candidate in _inside(base, place):
        if candidate.endswith(".txt") and listing.has(candidate):
            return candidate, _listed(listing, candidate)
        if pictures := listing.pictures(candidate):
            return candidate, pictures
    return "", []


def _is_end(folder: str, place: str) -> bool:
    """Whether a place was found by its end alone."""
    return folder.count("/") + 1 < len(_parts(place))


def _inside(base: str, place: str) -> list[str]:
    """What a path may mean inside the folder: below `base`, without what leads out, `val` and `valid` alike."""
    parts, before = _parts(place), _parts(base)
    below = [parts[first:] for first in range(len(parts))]
    ends = [[*before, *parts], *below, *([*before, *end] for end in below[1:])]
    spelt = [["val" if part == "valid" else "valid" if part == "val" else part for part in end] for end in ends]
    return list(dict.fromkeys("/".join(end) for pair in zip(ends, spelt, strict=True) for end in pair if end))


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..")]


def _listed(listing: Listing, name: str) -> list[str]:
    lines = read_text(listing.file(name), MAX_LIST, "a list of images").splitlines()
    found = [listing.picture(line.strip(), folder_of(name)) for line in lines if line.strip()]
    return [picture for picture in found if picture.lower().endswith(PICTURES)]
