"""What labels do not say themselves: names of colours, other names of classes, and which of several are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.data.coco_annotations import Annotations
from maskrcnn.data.coco_categories import require_usable
from maskrcnn.data.coco_owners import looked_up
from maskrcnn.data.formats.content import Json, LabelContent, is_class_name
from maskrcnn.data.formats.renumbering import Renumbering
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number
from maskrcnn.text import brief, one_line
from maskrcnn.yaml_values import read_yaml

_EXPECTED = "a YAML file of class names, a line `name in the labels: name wanted` each (null leaves a class out)"

_SHOWN = 10


@dataclass(frozen=True)
class Naming:
    """What to call things, and what is wanted of them.

    Attributes:
        colours: a file with a line `name:red,green,blue` for each colour of masks, as `labelmap.txt`; None: that file
            of the folder.
        classes: the name wanted of each class that is to have another; None leaves its objects out.
        keypoints: whether labels with keypoints are wanted, where others of the same images have none.
    """

    colours: Path | None = None
    classes: Mapping[str, str | None] | None = None
    keypoints: bool = False

    @classmethod
    def of_files(cls, colours: str | Path = "", class_map: str | Path = "", *, keypoints: bool = False) -> Naming:
        """From the files that a user names; empty: none.

        Raises:
            UserError: a file is not there, or does not name classes.
        """
        if colours and not Path(colours).is_file():
            raise UserError(f"{colours}: no such file; expected lines of the form name:red,green,blue")
        names = _read_class_map(Path(class_map)) if class_map else None
        return cls(Path(colours) if colours else None, names, keypoints)

    def names(self, stated: Sequence[str]) -> tuple[str, ...]:
        """The names wanted of the classes that stay, each once."""
        wanted = ((self.classes or {}).get(name, name) for name in stated)
        return tuple(dict.fromkeys(name for name in wanted if name is not None))

    def apply(self, content: LabelContent) -> LabelContent:
        """The content with the names wanted; classes that get one name become one class.

        Raises:
            UserError: a class is to be renamed that is not there, or the list of classes cannot be used.
        """
        if self.classes is None:
            return content
        require_usable(content.coco["categories"], content.report.source)
        stated = [str(entry["name"]) for entry in content.coco["categories"]]
        if unknown := [name for name in self.classes if name not in stated]:
            listed = ", ".join(map(one_line, stated[:_SHOWN])) + (", ..." if len(stated) > _SHOWN else "")
            raise UserError(f"{content.source}: the class map names {one_line(unknown[0])}, found only {listed}")
        return _renamed(content, {name: self.classes.get(name, name) for name in stated})


def _renamed(content: LabelContent, wanted: Mapping[str, str | None]) -> LabelContent:
    kept = {name: entry for entry in content.coco["categories"] if (name := wanted[str(entry["name"])]) is not None}
    numbers = {name: number for number, name in enumerate(kept, start=1)}
    of_ids = {
        old: wanted[str(entry["name"])]
        for entry in content.coco["categories"]
        if (old := id_number(entry["id"])) is not None
    }
    new = {old: numbers.get(name or "") for old, name in of_ids.items()}
    coco = {
        **content.coco,
        "images": [*map(Renumbering(new).of, content.coco["images"])],
        "annotations": _with_classes(content.coco["annotations"], new),
        "categories": [{**entry, "id": numbers[name], "name": name} for name, entry in kept.items()],
    }
    return replace(content, coco=coco, renamed={**wanted, **of_ids})


def _with_classes(annotations: Sequence[Json], new: Mapping[int, int | None]) -> Sequence[Json]:
    """Those of classes that stay, with their new ids; those of no known class stay, too, and go on having none."""
    left_out = {old for old, number in new.items() if number is None}
    if isinstance(annotations, Annotations):
        stated = np.asarray(annotations.category_ids)
        ids = looked_up(stated, {old: number for old, number in new.items() if number is not None})
        return annotations.chosen(~np.isin(stated, list(left_out)), category_ids=ids)
    numbers = [id_number(entry.get("category_id")) for entry in annotations]
    return [
        {**entry, "category_id": None if number is None else new.get(number)}
        for entry, number in zip(annotations, numbers, strict=True)
        if number not in left_out
    ]


def _read_class_map(path: Path) -> dict[str, str | None]:
    values: Any = read_yaml(path, _EXPECTED)
    if not isinstance(values, dict) or not values:
        raise UserError(f"{path}: expected {_EXPECTED}, got {brief(values)}")
    for name in values.values():
        if name is not None and not is_class_name(name):
            raise UserError(f"{path}: expected {_EXPECTED}, got the name {brief(name)}")
    return {str(name): wanted for name, wanted in values.items()}
