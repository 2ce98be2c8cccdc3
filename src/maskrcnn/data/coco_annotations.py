"""COCO's `annotations`: ids in flat arrays, plain ones packed, and each annotation itself when it is asked for.

In memory where the file is small, in the file where it is large; the reader sees no difference. COCO Annotator's
dialect ends here: what it calls deleted is left out, and the outline of what it calls a box is none.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from maskrcnn.data.coco_plain import PlainObjects
from maskrcnn.data.large_json import LargeFile
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number, load_json
from maskrcnn.structures.masks import BoolArray, IntArray

LARGE = 64 * 2**20
"""Bytes; a larger file is not parsed as a whole."""

MISSING = -(2**63)
"""In place of an id that is none."""

_LISTS = ("images", "annotations", "categories")
_FIELDS = {"ids": "id", "image_ids": "image_id", "category_ids": "category_id"}


class Plain(NamedTuple):
    """Plain annotations, packed, and (n,) the place of each in a list of annotations; -1: it is not in that."""

    objects: PlainObjects
    places: IntArray


class Annotations(Sequence[Any]):
    """A list of annotations.

    Attributes:
        ids: of each annotation, as `id_number` reads them, or `MISSING`.
        image_ids: the same of its image.
        category_ids: the same of its class.
        plain: those that are, packed; perhaps with others that are not in this list.
    """

    def __init__(self) -> None:
        self.ids, self.image_ids, self.category_ids = array("q"), array("q"), array("q")
        self._plain = PlainObjects()

    @classmethod
    def of_list(cls, entries: list[Any]) -> Annotations:
        """Those of a list in memory."""
        annotations = _Listed(entries)
        for entry in entries:
            annotations.note(entry)
        return annotations

    def note(self, entry: Any) -> None:
        """Take down what can be of the next one."""
        values = entry if isinstance(entry, dict) else {}
        self._plain.take(len(self.ids), values)
        self.ids.append(_number(values.get("id")))
        self.image_ids.append(_number(values.get("image_id")))
        self.category_ids.append(_number(values.get("category_id")))

    @property
    def plain(self) -> list[Plain]:
        return [Plain(self._plain, np.asarray(self._plain.places))]

    def chosen(self, keep: BoolArray, **ids: IntArray) -> Annotations:
        """Those of N where `keep` (N,) holds; with these `ids`, `image_ids`, `category_ids` (N,) if they are given.

        A class id of -1 stands for no class.
        """
        return _Chosen(self, np.flatnonzero(keep), ids)

    def are_crowds(self) -> BoolArray:
        """(N,) whether `iscrowd` is 1."""
        found = np.zeros(len(self), dtype=bool)
        plain = [part.places for part in self.plain]
        for place in np.setdiff1d(np.arange(len(self)), np.concatenate([[-1], *plain])).tolist():
            entry = self[place]
            found[place] = isinstance(entry, dict) and entry.get("iscrowd") == 1
        return found

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, number: int) -> Any: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Any]: ...
    def __getitem__(self, number: int | slice) -> Any:
        if isinstance(number, slice):
            return [self.entry(place) for place in range(*number.indices(len(self)))]
        return self.entry(range(len(self))[number])

    def entry(self, number: int) -> Any:
        """The annotation itself."""
        raise NotImplementedError


class _Listed(Annotations):
    def __init__(self, entries: list[Any]) -> None:
        super().__init__()
        self.entries = entries

    def entry(self, number: int) -> Any:
        return self.entries[number]


class _Stored(Annotations):
    """Left in the file."""

    def __init__(self, file: LargeFile) -> None:
        super().__init__()
        self.file, self.starts, self.lengths = file, array("q"), array("q")

    def take(self, entry: Any, start: int, length: int) -> None:
        if not _is_deleted(entry):
            self.note(_as_drawn(entry))
            self.starts.append(start)
            self.lengths.append(length)

    def entry(self, number: int) -> Any:
        return _as_drawn(self.file.read(self.starts[number], self.lengths[number]))


class _Chosen(Annotations):
    """Some of others, perhaps numbered otherwise."""

    def __init__(self, whole: Annotations, places: IntArray, ids: Mapping[str, IntArray]) -> None:
        self._whole, self._places = whole, places
        self.ids, self.image_ids, self.category_ids = (
            _packed(np.asarray(ids.get(name, getattr(whole, name)))[places])
            for name in ("ids", "image_ids", "category_ids")
        )
        self._renumbered = {_FIELDS[name]: getattr(self, name) for name in ids}

    @property
    def plain(self) -> list[Plain]:
        new = np.full(len(self._whole) + 1, -1)  # the last is where -1 points
        new[self._places] = np.arange(len(self))
        parts = [Plain(part.objects, new[part.places]) for part in self._whole.plain]
        return [part for part in parts if (part.places >= 0).any()]

    def entry(self, number: int) -> Any:
        entry = self._whole.entry(int(self._places[number]))
        if self._renumbered and isinstance(entry, dict):
            new = {field: None if ids[number] < 0 else ids[number] for field, ids in self._renumbered.items()}
            return {**entry, **new}
        return entry


class _Joined(Annotations):
    """Those of several files, one after the other."""

    def __init__(self, parts: Sequence[Annotations]) -> None:
        self._parts = parts
        self._first = [0, *accumulate(map(len, parts))]
        self.ids, self.image_ids, self.category_ids = (
            array("q", b"".join(getattr(part, name).tobytes() for part in parts))
            for name in ("ids", "image_ids", "category_ids")
        )

    @property
    def plain(self) -> list[Plain]:
        return [
            Plain(plain.objects, np.where(plain.places < 0, -1, plain.places + first))
            for part, first in zip(self._parts, self._first, strict=False)
            for plain in part.plain
        ]

    def entry(self, number: int) -> Any:
        part = bisect_right(self._first, number) - 1
        return self._parts[part].entry(number - self._first[part])


def joined(parts: Sequence[Annotations]) -> Annotations:
    """Those of all of at least one."""
    return parts[0] if len(parts) == 1 else _Joined(parts)


def load_coco(path: Path, large: int = LARGE) -> Any:
    """The content of a JSON file; the annotations of a COCO file of more than `large` bytes stay in it.

    Raises:
        UserError: the file cannot be read or is not JSON.
    """
    if not path.is_file() or path.stat().st_size <= large:
        return understood(load_json(path))
    with ExitStack() as closed_at_the_end:
        file = LargeFile(path)
        closed_at_the_end.callback(file.close)
        content = _content_of(file)
        if content is not None:
            closed_at_the_end.pop_all()
            return content
    return understood(load_json(path))


def _content_of(file: LargeFile) -> dict[str, Any] | None:
    """Of a COCO file, with the annotations left in it; None of one in another form, whose lists are wanted."""
    if not file.may_have(_LISTS):
        return None
    annotations, content = _Stored(file), {"images": list[Any](), "categories": list[Any]()}
    lists = {name: lambda entry, *_, entries=entries: entries.append(entry) for name, entries in content.items()}
    found, others = file.scan({**lists, "annotations": annotations.take})
    return {**others, **content, "annotations": annotations} if found.issuperset(_LISTS) else None


def begins_as_coco(path: Path) -> bool:
    """Whether a JSON file has annotations of which the first is COCO's; it is read no further."""
    with closing(LargeFile(path)) as file:
        if not file.may_have(_LISTS):
            return False
        try:
            file.scan({"images": _skip, "categories": _skip, "annotations": _stop})
        except _Stopped as stopped:
            return isinstance(stopped.entry, dict) and {"image_id", "category_id"} <= stopped.entry.keys()
        except UserError:  # which whoever reads it gets
            return False
    return False


class _Stopped(Exception):
    def __init__(self, entry: Any) -> None:
        self.entry = entry


def _stop(entry: Any, *_: int) -> None:
    raise _Stopped(entry)


def _skip(*_: Any) -> None:
    pass


def understood(content: Any) -> Any:
    """A COCO file's content, of annotations in memory, without what COCO Annotator alone writes."""
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list):
        return content
    return {**content, "annotations": [_as_drawn(entry) for entry in annotations if not _is_deleted(entry)]}


def _is_deleted(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("deleted") is True


def _as_drawn(entry: Any) -> Any:
    """Without the outline that COCO Annotator gives to a box."""
    if isinstance(entry, dict) and entry.get("isbbox") is True:
        return {key: value for key, value in entry.items() if key != "segmentation"}
    return entry


def _packed(numbers: IntArray) -> array[int]:
    column = array("q")
    column.frombytes(numbers.astype(np.int64).tobytes())
    return column


def _number(value: Any) -> int:
    number = id_number(value)
    return MISSING if number is None else number
