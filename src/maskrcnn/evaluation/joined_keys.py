"""How entries of results say which image and which class they mean: by a name, an id, or both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskrcnn.evaluation.predictions import Result
from maskrcnn.json_values import is_number
from maskrcnn.text import counted, one_line

_SHOWN = 3


@dataclass(frozen=True)
class Key:
    """How an entry says which image or which class it means."""

    noun: str
    id_key: str
    name_key: str

    def of(self, entry: Result) -> float | str | None:
        """The name; the id where there is none; None where that is no number."""
        name, number = entry.get(self.name_key), entry.get(self.id_key)
        if isinstance(name, str) and name:
            return name
        return number if is_number(number) else None

    def names(self, results: Sequence[Result]) -> list[str]:
        """Each once."""
        keys = dict.fromkeys(self.of(entry) for entry in results if self.name_key in entry)
        return [key for key in keys if isinstance(key, str)]

    def ids_of(self, results: Sequence[Result]) -> Mapping[str, set[float]]:
        """The ids that are beside each name; none where no entry of this name has one."""
        ids = defaultdict[str, set[float]](set)
        for entry in results:
            name, number = self.of(entry), entry.get(self.id_key)
            if isinstance(name, str):
                ids[name].update([number] if is_number(number) else [])
        return ids

    def decided_by_id(
        self, results: Sequence[Result], meant: Mapping[str, int | None], ids: Container[float]
    ) -> dict[str, float]:
        """The names that mean nothing, and the ids by which they do.

        None, unless known names have ids beside them, all of which agree; else those of one id, which no other name
        has.
        """
        if None not in meant.values():
            return {}
        stated = self.ids_of(results)
        known = [(meant[name], numbers) for name, numbers in stated.items() if numbers and meant.get(name) is not None]
        if not known or any(numbers != {number} for number, numbers in known):
            return {}
        times = Counter(number for numbers in stated.values() for number in numbers)
        unknown = [name for name, new in meant.items() if new is None and len(stated[name]) == 1]
        by_id = {name: min(stated[name]) for name in unknown}
        return {name: number for name, number in by_id.items() if times[number] == 1 and number in ids}

    def said_unknown(self, by_id: Mapping[str, float], called: Mapping[Any, str], source: str) -> list[str]:
        """A line on the names that labels lack and for which the ids decide."""
        return self.said(f"{counted(len(by_id), self.name_key)} not in {source}", by_id.items(), called)

    def said(self, what: str, decided: Iterable[tuple[str, float]], called: Mapping[Any, str]) -> list[str]:
        """A line on names and the ids that decide for them; none where there are no such names."""
        pairs = [f"{one_line(name)} is {one_line(called[number])}" for name, number in decided]
        return [f"{what}, so that {self.id_key} decides: {listed_names(pairs)}"] if pairs else []

    def moved(
        self, results: Sequence[Result], meant: Mapping[Any, int | None], source: str, *, has_own_ids: bool = True
    ) -> tuple[list[Result], list[str]]:
        """The results with the ids that are meant, without those that mean None; what `meant` lacks keeps its id.

        Unless `has_own_ids`, nobody expects the ids that are stated to be those of the labels.
        """
        kept, left_out, other = list[Result](), Counter[Any](), set[Any]()
        for entry in results:
            key, stated = self.of(entry), entry.get(self.id_key)
            new = meant.get(key, stated)
            if new is None and key in meant:
                left_out[key] += 1
            elif new == stated:
                kept.append(entry)
            else:
                kept.append({**entry, self.id_key: new})
                other |= set() if stated is None else {key}
        lines = []
        if left_out:
            total = counted(left_out.total(), "prediction")
            keys = [key if isinstance(key, str) else f"{self.id_key} {key}" for key in left_out]
            lines.append(f"{total} left out: no {self.noun} {listed_names(keys)} in {source}")
        if other and has_own_ids:
            names = counted(len(other), "name")
            lines.append(f"{self.id_key} is another in {source} for {names}: {self.name_key} decides the {self.noun}")
        return kept, lines


IMAGE = Key("image", "image_id", "file_name")
CLASS = Key("class", "category_id", "category_name")


def without(meant: Mapping[str, int | None], names: Container[str]) -> dict[str, int | None]:
    """What is left of `meant`."""
    return {name: new for name, new in meant.items() if name not in names}


def listed_names(names: Sequence[str]) -> str:
    """The first names, fit for a line."""
    return ", ".join(map(one_line, names[:_SHOWN])) + ", ..." * (len(names) > _SHOWN)
