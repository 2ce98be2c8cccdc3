"""Results and labels joined: by the names of images and classes where results carry them, else by ids.

Whoever writes results numbers images and classes by a list of their own, as `predict` does; names mean the same
everywhere. A name that the labels lack may still be spelled or translated otherwise: where there are others and all
agree with their ids, its id says what it means.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.json_values import is_number
from maskrcnn.structures.image_names import ImageNames
from maskrcnn.structures.spelling import by_letters, letters_of
from maskrcnn.text import brief, counted, one_line

Renamed = Mapping[Any, str | None]
"""What labels with a class map call the class that they state under an id or a name; None: it is left out."""

_SHOWN = 3


def joined(results: Any, truth: GroundTruth, renamed: Renamed) -> tuple[Any, list[str]]:
    """Results with the ids of the labels, and a line on whatever is not as it says.

    The `file_name` of an entry says which image is meant (one of the two names may have more folders in front), and
    its `category_name` which class; only without them `image_id` and `category_id` do.

    Args:
        results: COCO results, not checked yet; they stay as they are.
        truth: the labels.
        renamed: the class map of the labels; empty: there is none.

    Returns:
        The results, without those of images and classes that the labels do not have; and the lines.

    Raises:
        UserError: no name is known, two file names mean one image, the class map gives a class the name that another
            had, or an id is not one that it renames.
    """
    if not isinstance(results, Sequence) or not all(isinstance(entry, Mapping) for entry in results):
        return results, []  # `read_predictions` says what is wrong
    of_images, lines = _with_image_ids(results, truth)
    of_classes, more = _with_category_ids(of_images, truth, renamed)
    return of_classes, lines + more


def _with_image_ids(results: Sequence[Result], truth: GroundTruth) -> tuple[Sequence[Result], list[str]]:
    stated, ids = _IMAGE.names(results), list(truth.images)
    called = [truth.labels.file_name(number) for number in truth.images.values()] if stated else []
    if not stated or called == [*map(str, ids)]:  # as the labels are read that name no files
        return results, []
    names = ImageNames(called)
    places = names.find_all(name for name in stated if not names.is_of_several(name))
    _require_different(places, called)
    meant = {name: None if place is None else ids[place] for name, place in places.items()}
    by_id = _IMAGE.decided_by_id(results, meant, truth.images)
    if meant and not any(image_id is not None for image_id in meant.values()):
        raise UserError(
            f"predictions: expected images of {truth.source}, such as {one_line(called[0])}, got {_listed(stated)}; "
            "--images DIR finds the files that the labels mean, and without file_name the ids decide"
        )
    moved, lines = _IMAGE.moved(results, _without(meant, by_id), truth.source)
    return moved, _IMAGE.said(by_id, dict(zip(ids, called, strict=True)), truth.source) + lines


def _require_different(places: Mapping[str, int | None], called: Sequence[str]) -> None:
    """Refuse two names for one image, as in results of two folders, of which the labels have one."""
    first: dict[int | None, str] = {None: ""}
    for name, place in places.items():
        if place is not None and first.setdefault(place, name) != name:
            raise UserError(
                f"predictions: expected one file_name for each image, got {one_line(first[place])} and "
                f"{one_line(name)}, which both may be {one_line(called[place])}; measure one folder at a time"
            )


def _with_category_ids(
    results: Sequence[Result], truth: GroundTruth, renamed: Renamed
) -> tuple[Sequence[Result], list[str]]:
    stated, names = _CLASS.names(results), truth.categories.names
    if not stated and not renamed:
        return results, []
    known: dict[Any, str | None] = dict(renamed)
    known |= {name: name for name in names}  # a model that has learned from renamed labels uses the new names
    alike = by_letters(key for key in known if isinstance(key, str))
    spelled = {name: name if name in known else alike.get(letters_of(name)) for name in stated}
    if stated and not any(spelled.values()):
        raise UserError(
            f"predictions: expected classes of {truth.source} ({_listed(names)}), got {_listed(stated)}; --class-map "
            "renames those of the labels, and without category_name the ids decide"
        )
    ids = dict(zip(names, truth.categories.ids, strict=True))
    meant = {name: ids.get(known.get(key) or "") for name, key in spelled.items()}
    if renamed:
        _require_one_meaning(spelled.values(), names, renamed)
        of_ids = {key: ids.get(name or "") for key, name in renamed.items() if not isinstance(key, str)}
        return _through_class_map(results, {**of_ids, **meant}, truth.source)
    by_id = _CLASS.decided_by_id(results, meant, truth.categories.ids)
    moved, lines = _CLASS.moved(results, _without(meant, by_id), truth.source)
    return moved, _CLASS.said(by_id, dict(zip(truth.categories.ids, names, strict=True)), truth.source) + lines


def _require_one_meaning(stated: Iterable[str | None], names: Sequence[str], renamed: Renamed) -> None:
    """Refuse a name that one class had and another one gets: results may use either."""
    for name in stated:
        if name in names and (new := renamed.get(name, name)) != name:
            what = "is left out" if new is None else f"is called {one_line(new)}"
            raise UserError(
                f"predictions: category_name {one_line(str(name))} may be the class of the labels that {what} by the "
                "class map, or the one that gets this name; choose a new name that no class had"
            )


def _through_class_map(
    results: Sequence[Result], meant: Mapping[Any, int | None], source: str
) -> tuple[Sequence[Result], list[str]]:
    """An id alone is that of the labels before their classes are renamed."""
    alone = Counter(key for entry in results if not isinstance(key := _CLASS.of(entry), str))
    unknown = alone.keys() - meant.keys()
    if unknown:
        raise UserError(
            f"predictions: expected category_id among those of {source} before its classes are renamed, "
            f"got {brief(unknown.pop())}"
        )
    moved, lines = _CLASS.moved(results, meant, source, has_own_ids=False)
    if any(meant[number] != number for number in alone):
        what = f"{counted(alone.total(), 'prediction')} without category_name"
        lines.append(f"{what}: category_id means the classes of {source} as they were before the class map")
    return moved, lines


@dataclass(frozen=True)
class _Key:
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
        """The ids that are beside each name; a name without any is not there."""
        ids = defaultdict[str, set[float]](set)
        for entry in results:
            name, number = self.of(entry), entry.get(self.id_key)
            if isinstance(name, str) and is_number(number):
                ids[name].add(number)
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
        known = [(meant[name], numbers) for name, numbers in stated.items() if meant.get(name) is not None]
        if not known or any(numbers != {number} for number, numbers in known):
            return {}
        times = Counter(number for numbers in stated.values() for number in numbers)
        unknown = {name: min(stated[name]) for name, new in meant.items() if new is None and len(stated.get(name, ())) == 1}
        return {name: number for name, number in unknown.items() if times[number] == 1 and number in ids}

    def said(self, by_id: Mapping[str, float], called: Mapping[Any, str], source: str) -> list[str]:
        """A line on the names for which the ids decide."""
        pairs = [f"{one_line(name)} is {one_line(called[number])}" for name, number in by_id.items()]
        what = f"{counted(len(by_id), self.name_key)} not in {source}, so that {self.id_key} decides"
        return [f"{what}: {_listed(pairs)}"] if pairs else []

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
            lines.append(f"{total} left out: no {self.noun} {_listed(keys)} in {source}")
        if other and has_own_ids:
            names = counted(len(other), "name")
            lines.append(f"{self.id_key} is another in {source} for {names}: {self.name_key} decides the {self.noun}")
        return kept, lines


_IMAGE = _Key("image", "image_id", "file_name")
_CLASS = _Key("class", "category_id", "category_name")


def _without(meant: Mapping[str, int | None], names: Container[str]) -> dict[str, int | None]:
    return {name: new for name, new in meant.items() if name not in names}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(one_line, names[:_SHOWN])) + ", ..." * (len(names) > _SHOWN)
