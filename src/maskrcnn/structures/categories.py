"""Categories: the one authority for the classes of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.structures.keypoints import KeypointSchema, repeated


@dataclass(frozen=True)
class Categories:
    """Dataset id <-> label <-> name, for K classes.

    A *label* is the contiguous index 0..K-1 the model works with; background is the extra last logit K and
    never a label. An *id* is whatever the data set calls the class (COCO's ids have gaps).

    Attributes:
        ids: K.
        names: K.
        schemas: the keypoints of each class, None for a class without; empty where no class has any.
        stuff: labels of the classes that have no objects, such as sky; all others are things.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    schemas: tuple[KeypointSchema | None, ...] = ()
    stuff: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.names):
            raise UserError(f"categories: {len(self.ids)} ids but {len(self.names)} names; give one name per id")
        if len(self.schemas) not in (0, len(self.ids)):
            raise UserError(f"categories: {len(self.ids)} ids but keypoints of {len(self.schemas)}; give one per id")
        for kind, values in (("id", self.ids), ("name", self.names)):
            if duplicates := repeated(values):
                raise UserError(f"categories: {kind} {', '.join(duplicates)} appears twice; each must be unique")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def keypoints(self) -> KeypointSchema | None:
        """The keypoints of all classes that have any; None where none has, or where they differ."""
        schemas = {schema for schema in self.schemas if schema is not None}
        return schemas.pop() if len(schemas) == 1 else None

    @property
    def num_keypoints(self) -> int | None:
        """P, the number of those."""
        return None if self.keypoints is None else len(self.keypoints)

    def has_keypoints(self, label: int) -> bool:
        """Whether a class has keypoints."""
        return bool(self.schemas) and self.schemas[label] is not None

    @property
    def stuff_names(self) -> tuple[str, ...]:
        """Of the classes that have no objects."""
        return tuple(self.names[label] for label in sorted(self.stuff))

    def label_of(self, category_id: int) -> int:
        """The label 0..K-1 of a data-set id; `KeyError` when the id is unknown."""
        return self._labels[category_id]

    @cached_property
    def _labels(self) -> dict[int, int]:
        return {category_id: label for label, category_id in enumerate(self.ids)}

    @classmethod
    def from_coco(cls, entries: Iterable[Mapping[str, Any]]) -> Categories:
        """Read COCO's `categories` list; labels follow ascending id, and `isthing` 0 is stuff."""
        ordered = sorted(entries, key=lambda entry: int(entry["id"]))
        schemas = tuple(map(_schema_of, ordered))
        return cls(
            tuple(int(e["id"]) for e in ordered),
            tuple(str(e["name"]) for e in ordered),
            schemas if any(schemas) else (),
            frozenset(label for label, e in enumerate(ordered) if e.get("isthing") == 0),
        )

    def to_coco(self) -> list[dict[str, Any]]:
        """The COCO `categories` list; `from_coco` reads it back. `isthing` is there where any class is stuff."""
        schemas = self.schemas or (None,) * len(self)
        kinds = [{"isthing": int(label not in self.stuff)} if self.stuff else {} for label in range(len(self))]
        return [
            {"id": i, "name": n, **kind, **({} if schema is None else schema.to_coco())}
            for i, n, kind, schema in zip(self.ids, self.names, kinds, schemas, strict=True)
        ]


def _schema_of(entry: Mapping[str, Any]) -> KeypointSchema | None:
    try:
        return KeypointSchema.from_coco(entry)
    except UserError as error:
        raise UserError(f"category {entry['name']}: {error}") from None
