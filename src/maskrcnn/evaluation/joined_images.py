"""Images of results and of labels joined: by the names of their files, else by ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maskrcnn.errors import UserError
from maskrcnn.evaluation.joined_keys import IMAGE, listed_names, without
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.structures.image_names import ImageNames
from maskrcnn.text import one_line


def with_image_ids(results: Sequence[Result], truth: GroundTruth) -> tuple[Sequence[Result], list[str]]:
    """The results with the ids of the images of the labels, and lines on how they were found, as `joined` has them.

    Raises:
        UserError: no name is known, or two mean one image.
    """
    stated, ids = IMAGE.names(results), list(truth.images)
    called = [truth.labels.file_name(number) for number in truth.images.values()] if stated else []
    if not stated or called == [*map(str, ids)]:  # as the labels are read that name no files
        return results, []
    names = ImageNames(called)
    places = names.find_all(name for name in stated if not names.is_of_several(name))
    _require_different(places, called)
    meant = {name: None if place is None else ids[place] for name, place in places.items()}
    by_id = IMAGE.decided_by_id(results, meant, truth.images)
    if meant and not any(image_id is not None for image_id in meant.values()):
        raise UserError(
            f"predictions: expected images of {truth.source}, such as {one_line(called[0])}, got "
            f"{listed_names(stated)}; --images DIR finds the files that the labels mean, and without file_name the ids "
            "decide"
        )
    moved, lines = IMAGE.moved(results, without(meant, by_id), truth.source)
    return moved, IMAGE.said(by_id, dict(zip(ids, called, strict=True)), truth.source) + lines


def _require_different(places: Mapping[str, int | None], called: Sequence[str]) -> None:
    """Refuse two names for one image, as in results of two folders, of which the labels have one."""
    first: dict[int | None, str] = {None: ""}
    for name, place in places.items():
        if place is not None and first.setdefault(place, name) != name:
            raise UserError(
                f"predictions: expected one file_name for each image, got {one_line(first[place])} and "
                f"{one_line(name)}, which both may be {one_line(called[place])}; measure one folder at a time"
            )
