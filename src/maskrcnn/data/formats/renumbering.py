"""Image records whose lists of classes (LVIS) follow when classes get other numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from maskrcnn.data.coco_federated import ABSENT, INCOMPLETE

ClassName = int | str


class Renumbering:
    """What becomes of each class.

    Args:
        new: by what the class is called now; None: it is left out.
    """

    def __init__(self, new: Mapping[Any, ClassName | None]) -> None:
        self.new = new
        self.sources: dict[ClassName | None, set[ClassName]] = defaultdict(set)
        for old, name in new.items():
            self.sources[name].add(old)

    def of(self, image: dict[str, Any]) -> dict[str, Any]:
        """The record; a class made of several is absent where all of them are, and incomplete where any is."""
        lists = {key: self._known(image[key]) for key in (ABSENT, INCOMPLETE) if key in image}
        if not lists:
            return image
        every = {key: dict.fromkeys(self.new[old] for old in known) for key, known in lists.items()}
        absent = set(lists.get(ABSENT, ()))
        kept = {ABSENT: [name for name in every.get(ABSENT, ()) if name is not None and self.sources[name] <= absent]}
        kept[INCOMPLETE] = [name for name in every.get(INCOMPLETE, ()) if name is not None]
        return {**image, **{key: kept[key] for key in lists}}

    def _known(self, values: Any) -> list[ClassName]:
        listed = values if isinstance(values, list) else []
        return [value for value in listed if isinstance(value, int | str) and value in self.new]
