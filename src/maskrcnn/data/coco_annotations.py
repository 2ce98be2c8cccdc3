"""COCO's `annotations`: ids in flat arrays, plain ones packed, and each annotation itself when it is asked for.

In memory where the file is small, in the file where it is large; the reader sees no difference.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskrcnn.data.coco_plain import PlainObjects
from maskrcnn.data.large_json import LargeFile
from maskrcnn.json_values import id_number, load_json

LARGE = 64 * 2**20
"""Bytes; a larger file is not parsed as a whole."""

MISSING = -(2**63)
"""In place of an id that is none."""


class Annotations:
    """A list of annotations.

    Attributes:
        ids: of each annotation, as `id_number` reads them, or `MISSING`.
        image_ids: the same of its image.
        category_ids: the same of its class.
        plain: those that are, packed.
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

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> Any:
        raise NotImplementedError


class _Listed(Annotations):
    def __init__(self, entries: list[Any]) -> None:
        super().__init__()
        self.entries = entries

    def __getitem__(self, number: int) -> Any:
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

    def __getitem__(self, number: int) -> Any:
        return self.file.read(self.starts[number], self.lengths[number])


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


def _number(value: Any) -> int:
    number = id_number(value)
    return MISSING if number is None else number
