"""Results and labels joined: by the names of images and classes where results carry them, else by ids.

Whoever writes results numbers images and classes by a list of their own, as `predict` does; names mean the same
everywhere. A name that the labels lack may still be spelled or translated otherwise: where there are others and all
agree with their ids, its id says what it means. It also does where a file name without its folders fits several images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.evaluation.joined_images import with_image_ids
from maskrcnn.evaluation.joined_keys import CLASS, listed_names, without
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.structures.spelling import by_letters, letters_of
from maskrcnn.text import brief, counted, one_line

Renamed = Mapping[Any, str | None]
"""What labels with a class map call the class that they state under an id or a name; None: it is left out."""


def joined(results: Any, truth: GroundTruth, renamed: Renamed) -> tuple[Any, list[str]]:
    """Results with the ids of the labels, and a line on whatever is not as it says.

    The `file_name` of an entry says which image is meant (one of the two names may have more folders in front), and
    its `category_name` which class; only without them `image_id` and `category_id` do. Where a file name fits several
    images, `image_id` says which of these it is.

    Args:
        results: COCO results, not checked yet; they stay as they are.
        truth: the labels.
        renamed: the class map of the labels; empty: there is none.

    Returns:
        The results, without those of images and classes that the labels do not have; and the lines.

    Raises:
        UserError: no name is known, two file names mean one image, one fits several images and a name contradicts its
            id, the class map gives a class the name that another had, or an id is not one that it renames.
    """
    if not isinstance(results, Sequence) or not all(isinstance(entry, Mapping) for entry in results):
        return results, []  # `read_predictions` says what is wrong
    of_images, lines = with_image_ids(results, truth)
    of_classes, more = _with_category_ids(of_images, truth, renamed)
    return of_classes, lines + more


def _with_category_ids(
    results: Sequence[Result], truth: GroundTruth, renamed: Renamed
) -> tuple[Sequence[Result], list[str]]:
    stated, names = CLASS.names(results), truth.categories.names
    if not stated and not renamed:
        return results, []
    known: dict[Any, str | None] = dict(renamed)
    known |= {name: name for name in names}  # a model that has learned from renamed labels uses the new names
    alike = by_letters(key for key in known if isinstance(key, str))
    spelled = {name: name if name in known else alike.get(letters_of(name)) for name in stated}
    if stated and not any(spelled.values()):
        raise UserError(
            f"predictions: expected classes of {truth.source} ({listed_names(names)}), got {listed_names(stated)}; "
            "--class-map renames those of the labels, and without category_name the ids decide"
        )
    ids = dict(zip(names, truth.categories.ids, strict=True))
    meant = {name: ids.get(known.get(key) or "") for name, key in spelled.items()}
    if renamed:
        _require_one_meaning(spelled.values(), names, renamed)
        of_ids = {key: ids.get(name or "") for key, name in renamed.items() if not isinstance(key, str)}
        return _through_class_map(results, {**of_ids, **meant}, truth.source)
    by_id = CLASS.decided_by_id(results, meant, truth.categories.ids)
    moved, lines = CLASS.moved(results, without(meant, by_id), truth.source)
    return moved, CLASS.said_unknown(by_id, dict(zip(truth.categories.ids, names, strict=True)), truth.source) + lines


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
    alone = Counter(key for entry in results if not isinstance(key := CLASS.of(entry), str))
    unknown = alone.keys() - meant.keys()
    if unknown:
        raise UserError(
            f"predictions: expected category_id among those of {source} before its classes are renamed, "
            f"got {brief(unknown.pop())}"
        )
    moved, lines = CLASS.moved(results, meant, source, has_own_ids=False)
    if any(meant[number] != number for number in alone):
        what = f"{counted(alone.total(), 'prediction')} without category_name"
        lines.append(f"{what}: category_id means the classes of {source} as they were before the class map")
    return moved, lines
