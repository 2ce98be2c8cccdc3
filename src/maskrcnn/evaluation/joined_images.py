"""Images of results and of labels joined: by the names of their files, else by ids."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.evaluation.joined_keys import IMAGE, listed_names, without
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.json_values import is_number
from maskrcnn.structures.image_names import ImageNames
from maskrcnn.text import brief, counted, one_line


def with_image_ids(results: Sequence[Result], truth: GroundTruth) -> tuple[Sequence[Result], list[str]]:
    """The results with the ids of the images of the labels, and lines on how they were found, as `joined` has them.

    Raises:
        UserError: no name is known, two mean one image, or one fits several images and a name contradicts its id.
    """
    stated, source = IMAGE.names(results), truth.source
    called = {i: truth.labels.file_name(number) for i, number in truth.images.items()} if stated else {}
    if [*called.values()] == [*map(str, called)]:  # no names, or labels as they are read that name no files
        return results, []
    ids, found = list(called), ImageNames([*called.values()]).find_all(stated)
    meant = {name: ids[min(places)] if places else None for name, places in found.items() if len(places) < 2}
    results, decided, lines = _decided_among_several(results, found, called, source)
    if not decided and not any(image_id is not None for image_id in meant.values()):
        raise UserError(
            f"predictions: expected images of {source}, such as {one_line(called[ids[0]])}, got "
            f"{listed_names(stated)}; --images DIR finds the files that the labels mean, and without file_name the ids "
            "decide"
        )
    _require_different([*meant.items(), *decided], called)
    by_id = IMAGE.decided_by_id(results, meant, called)
    moved, more = IMAGE.moved(results, without(meant, by_id), source)
    return moved, [*IMAGE.said_unknown(by_id, called, source), *lines, *more]


_Named = tuple[str, float]
"""The name of a file, and an id beside it."""


def _decided_among_several(
    results: Sequence[Result], found: Mapping[str, Collection[int]], called: Mapping[Any, str], source: str
) -> tuple[Sequence[Result], list[_Named], list[str]]:
    """What names that fit several images mean by the ids beside them.

    Returns:
        The results, without those of names that do not fit the image of their id; the names and ids that do; and lines.
    """
    if all(len(images) < 2 for images in found.values()):
        return results, [], []
    places = {image_id: place for place, image_id in enumerate(called)}
    stated = [(name, number) for name, numbers in IMAGE.ids_of(results).items() for number in sorted(numbers)]
    _require_agreement(stated, found, places, called, source)
    decided = [(name, number) for name, number in stated if len(found[name]) > 1 and places.get(number) in found[name]]
    kept, left_out = _without_undecided(results, found, set(decided))
    lines = IMAGE.said(f"file_name of {counted(len(decided), 'image')} fits several of {source}", decided, called)
    if left_out:
        what = f"file_name fits several images of {source}, and image_id is that of none: {listed_names(left_out)}"
        lines.append(f"{counted(len(results) - len(kept), 'prediction')} left out: {what}")
    return kept, decided, lines


def _require_agreement(
    stated: Iterable[_Named],
    found: Mapping[str, Collection[int]],
    places: Mapping[float, int],
    called: Mapping[Any, str],
    source: str,
) -> None:
    """Refuse ids of another list, which cannot decide; that of an image which the labels lack may have any name."""
    for name, number in stated:
        fitting, place = found[name], places.get(number)
        if place not in fitting and (len(fitting) == 1 or (fitting and place is not None)):
            unclear, images = next((name, images) for name, images in found.items() if len(images) > 1)
            raise UserError(
                f"predictions: expected file_name with the folders that tell images of {source} apart, such as "
                f"{one_line([*called.values()][min(images)])}, got {one_line(unclear)}; image_id cannot decide, since "
                f"{one_line(name)} has {brief(number)}, which is {one_line(called.get(number, 'no image'))} there"
            )


def _without_undecided(
    results: Sequence[Result], found: Mapping[Any, Collection[int]], decided: Container[_Named]
) -> tuple[list[Result], list[str]]:
    """The results without those whose name fits several images and whose id does not decide; and these names."""
    kept, left_out = list[Result](), dict[Any, None]()
    for entry in results:
        name, number = IMAGE.of(entry), entry.get(IMAGE.id_key)
        if len(found.get(name, ())) < 2 or (is_number(number) and (name, number) in decided):
            kept.append(entry)
        else:
            left_out[name] = None
    return kept, list(left_out)


def _require_different(meant: Iterable[tuple[str, float | None]], called: Mapping[Any, str]) -> None:
    """Refuse two names for one image, as in results of two folders, of which the labels have one."""
    first: dict[float | None, str] = {None: ""}
    for name, image_id in meant:
        if image_id is not None and first.setdefault(image_id, name) != name:
            raise UserError(
                f"predictions: expected one file_name for each image, got {one_line(first[image_id])} and "
                f"{one_line(name)}, which both may be {one_line(called[image_id])}; measure one folder at a time"
            )
