"""Categories: the one authority for the classes of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from maskrcnn.errors import UserError


@dataclass(frozen=True)
class Categories:
    """Dataset id <-> label <-> name, for K classes.

    A *label* is the contiguous index 0..K-1 the model works with; background is the extra last logit K and
    never a label. An *id* is whatever the data set calls the class (COCO's ids have gaps).
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.names):
            raise UserError(f"categories: {len(self.ids)} ids but {len(self.names)} names; give one name per id")
        for kind, values in (("id", self.ids), ("name", self.names)):
            duplicates = sorted({str(v) for v in values if values.count(v) > 1})
            if duplicates:
                raise UserError(f"categories: {kind} {', '.join(duplicates)} appears twice; each must be unique")

    def __len__(self) -> int:
        return len(self.ids)

    def label_of(self, category_id: int) -> int:
        """The label 0..K-1 of a data-set id; `KeyError` when the id is unknown."""
        try:
            return self.ids.index(category_id)
        except ValueError:
            raise KeyError(category_id) from None

    @classmethod
    def from_coco(cls, entries: Iterable[Mapping[str, Any]]) -> Categories:
        """Read COCO's `categories` list; labels follow ascending id."""
        ordered = sorted(entries, key=lambda entry: int(entry["id"]))
        return cls(tuple(int(e["id"]) for e in ordered), tuple(str(e["name"]) for e in ordered))

    def to_coco(self) -> list[dict[str, Any]]:
        """The COCO `categories` list; `from_coco` reads it back."""
        return [{"id": i, "name": n} for i, n in zip(self.ids, self.names, strict=True)]
