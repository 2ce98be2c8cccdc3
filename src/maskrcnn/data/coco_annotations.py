"""COCO's `annotations`: ids in flat arrays, plain ones packed, and each annotation itself when it is asked for.

In memory where the file is small, in the file where it is large; the reader sees no difference.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from maskrcnn.data.coco_plain import PlainObjects
from maskrcnn.data.large_json import LargeFile
from maskrcnn.json_values import id_number, load_json
from maskrcnn.structures.masks import BoolArray, IntArray

LARGE = 64 * 2**20
"""Bytes; a larger file is not parsed as a whole."""

MISSING = -(2**63)
"""In place of an id that is none."""


class Annotations(Sequence[Any]):
    """A list of annotations.

    Attributes:
        ids: of each annotation, as `id_number` reads them, or `MISSING`.
        image_ids: the same of its image.
        category_ids: the same of its class.
        plain: those that are, packed.
        plain_places: (n,) their places in this list; -1 for those that are not in it.
    """

    def __init__(self) -> None:
        self.ids, self.image_ids, self.category_ids = array("q"), array("q"), array("q")
        self.plain = PlainObjects()

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
        self.plain.take(len(self.ids), values)
        self.ids.append(_number(values.get("id")))
        self.image_ids.append(_number(values.get("image_id")))
        self.category_ids.append(_number(values.get("category_id")))

    @property
    def plain_places(self) -> IntArray:
        return np.asarray(self.plain.places)

    def chosen(self, keep: BoolArray, category_ids: IntArray | None = None) -> Annotations:
        """Those of N where `keep` (N,) holds, with these class ids (N,), -1 for no class, if they are given."""
        return _Chosen(self, np.flatnonzero(keep), category_ids)

    def are_crowds(self) -> BoolArray:
        """(N,) whether `iscrowd` is 1."""
        found = np.zeros(len(self), dtype=bool)
        for place in np.setdiff1d(np.arange(len(self)), self.plain_places).tolist():
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
        self.note(entry)
        self.starts.append(start)
        self.lengths.append(length)

    def entry(self, number: int) -> Any:
        return self.file.read(self.starts[number], self.lengths[number])


class _Chosen(Annotations):
    """Some of others, perhaps of classes numbered otherwise."""

    def __init__(self, whole: Annotations, places: IntArray, category_ids: IntArray | None) -> None:
        self._whole, self._places, self._is_renamed = whole, places, category_ids is not None
        classes = np.asarray(whole.category_ids) if category_ids is None else category_ids
        columns = np.asarray(whole.ids), np.asarray(whole.image_ids), classes
        self.ids, self.image_ids, self.category_ids = (_packed(column[places]) for column in columns)
        self.plain = whole.plain

    @property
    def plain_places(self) -> IntArray:
        new = np.full(len(self._whole) + 1, -1)  # the last is where -1 points
        new[self._places] = np.arange(len(self))
        return new[self._whole.plain_places]

    def entry(self, number: int) -> Any:
        entry = self._whole.entry(int(self._places[number]))
        if self._is_renamed and isinstance(entry, dict):
            category = self.category_ids[number]
            return {**entry, "category_id": None if category < 0 else category}
        return entry


def load_coco(path: Path, large: int = LARGE) -> Any:
    """The content of a COCO file; the annotations of one of more than `large` bytes stay in it.

    Raises:
        UserError: the file cannot be read or is not JSON.
    """
    if not path.is_file() or path.stat().st_size <= large:
        return load_json(path)
    file = LargeFile(path)
    annotations, content = _Stored(file), {"images": list[Any](), "categories": list[Any]()}
    lists = {name: lambda entry, *_, entries=entries: entries.append(entry) for name, entries in content.items()}
    found, others = file.scan({**lists, "annotations": annotations.take})
    everything: Mapping[str, Any] = {**content, "annotations": annotations}
    return others | {name: value for name, value in everything.items() if name in found}


def _packed(numbers: IntArray) -> array[int]:
    column = array("q")
    column.frombytes(numbers.astype(np.int64).tobytes())
    return column


def _number(value: Any) -> int:
    number = id_number(value)
    return MISSING if number is None else number
