"""Two results on one set of labels compared, and what came of it written down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from maskrcnn.data.channels import UNKNOWN
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import labelled_images
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.errors import UserError
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.comparison import Comparison, ImageChange, compare_matches
from maskrcnn.evaluation.comparison_page import IMAGES_SHOWN, comparison_lines, comparison_page
from maskrcnn.evaluation.counting import count
from maskrcnn.evaluation.doubts import doubts_of
from maskrcnn.evaluation.joining import Renamed, joined
from maskrcnn.evaluation.matching import Matches, best_operating_point
from maskrcnn.evaluation.metrics import IouType, detection_limit
from maskrcnn.evaluation.parts import Part, is_huge, worst_window
from maskrcnn.evaluation.pictures import draw_found, draw_truth
from maskrcnn.evaluation.predictions import Result, read_predictions
from maskrcnn.evaluation.slices import groups_of, image_slices
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import judge
from maskrcnn.files import make_folder, write_atomically
from maskrcnn.json_values import load_json
from maskrcnn.scoring import ground_truth_of, kinds_in, opened_picture, renamed_classes, require_groups


def compare_results(
    annotations: str | PathLike[str] | LabelContent,
    first: str | PathLike[str],
    second: str | PathLike[str],
    output: str | PathLike[str],
    *,
    images: str | PathLike[str] | None = None,
    max_detections: int = 100,
    group_by: str = "",
    seed: int = 0,
    names: tuple[str, str] | None = None,
    say: Callable[[str], object] = print,
) -> dict[IouType, Comparison]:
    """Compare two files of COCO results, and write `comparison.json` and `comparison.html`.

    Args:
        annotations: a COCO instances or keypoints file, or what was read from labels of any form.
        first: results of A.
        second: results of B.
        output: the folder to write into.
        images: the folder of a COCO file's images, to show those that differ most; None: none is shown.
        max_detections: per image and class, those that count.
        group_by: field of the image records whose values tell groups of images apart, such as the film that frames
            come from; empty: each image for itself.
        seed: of the random halves.
        names: what A and B are called; None: by their files.
        say: gets the tables.

    Raises:
        UserError: unreadable input, results that do not belong to these labels or hold nothing in common.
    """
    make_folder(Path(output))
    contents = [load_json(Path(path)) for path in (first, second)]
    kinds = [kind for kind in kinds_in(contents[0]) if kind in kinds_in(contents[1])]
    if not kinds:
        raise UserError(f"{first} and {second}: expected results with masks, boxes or keypoints in both")
    has_images = images is not None or isinstance(annotations, LabelContent)
    data = _read(
        annotations, images, check_files=has_images, need_masks="mask" in kinds, group_by=group_by, channels=UNKNOWN
    )
    require_groups(data, group_by)
    truth = ground_truth_of(data)
    called = names or (Path(first).name, Path(second).name)
    results, notes = _checked((first, second), called, contents, truth, kinds, renamed_classes(annotations))
    matches: dict[IouType, list[list[Matches]]] = {
        kind: [_matches(truth, found, kind, max_detections) for found in results] for kind in kinds
    }
    comparisons: dict[IouType, Comparison] = {kind: _compare(truth, pair, seed) for kind, pair in matches.items()}
    said = [f"A: {called[0]}\nB: {called[1]}", *(f"warning: {note}" for note in notes), comparison_lines(comparisons)]
    say("\n\n".join(said))
    shown: list[tuple[ImageChange, str, Sequence[str]]] = []
    if has_images:
        thresholds = [best_operating_point(own).score for own in matches[kinds[0]]]
        limit = detection_limit(kinds[0], max_detections)
        shown = _pictures(data, truth, results, thresholds, comparisons[kinds[0]], kinds[0], limit)
    title = f"A: {called[0]}, B: {called[1]} on {Path(data.report.source).name}"
    warnings = [*data.report.faults(), *notes]
    write_atomically(Path(output) / "comparison.html", comparison_page(title, comparisons, shown, warnings))
    content: dict[str, Any] = {
        "A": called[0],
        "B": called[1],
        **{kind: found.to_dict() for kind, found in comparisons.items()},
    }
    write_atomically(Path(output) / "comparison.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    return comparisons


def _read(labels: str | PathLike[str] | LabelContent, images: str | PathLike[str] | None, **how: Any) -> LabelledImages:
    if isinstance(labels, LabelContent):
        return labelled_images(labels, **how)
    return read_coco(Path(labels), None if images is None else Path(images), **how)


def _checked(
    paths: Sequence[str | PathLike[str]],
    names: Sequence[str],
    contents: Sequence[Any],
    truth: GroundTruth,
    kinds: Sequence[IouType],
    renamed: Renamed,
) -> tuple[list[Sequence[Result]], list[str]]:
    """Results that belong to the labels, and lines on what is to be known about them."""
    every, notes = list[Sequence[Result]](), list[str]()
    for path, name, found in zip(paths, names, contents, strict=True):
        try:
            own, lines = joined(found, truth, renamed)
            every.append(read_predictions(own, truth, kinds))
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        notes += [f"{name}: {line}" for line in [*lines, *doubts_of(own, truth, kinds)]]
    return every, notes


def _matches(truth: GroundTruth, found: Sequence[Result], kind: IouType, max_detections: int) -> list[Matches]:
    limit = detection_limit(kind, max_detections)
    return count(Compared.of(truth, found, kind, limit), [limit])[2]


def _compare(truth: GroundTruth, matches: Sequence[list[Matches]], seed: int) -> Comparison:
    first, second = (best_operating_point(own).score for own in matches)
    return compare_matches(
        matches[0],
        matches[1],
        class_names=truth.categories.names,
        image_ids=list(truth.images),
        groups=groups_of(truth),
        slices=image_slices(truth),
        score_thresholds=(first, second),
        seed=seed,
    )


def _pictures(
    data: LabelledImages,
    truth: GroundTruth,
    results: Sequence[Sequence[Result]],
    thresholds: Sequence[float],
    comparison: Comparison,
    kind: IouType,
    limit: int,
) -> list[tuple[ImageChange, str, Sequence[str]]]:
    """Of the images that differ most: truth, A and B."""
    shown: list[tuple[ImageChange, str, Sequence[str]]] = []
    for change in comparison.images[:IMAGES_SHOWN]:
        if change.first == change.second:
            break
        number = truth.images[change.image_id]
        image, judged = opened_picture(data, number, MAX_PIXELS), []
        for of_all, threshold in zip(results, thresholds, strict=True):
            own = [found for found in of_all if found["image_id"] == change.image_id and found["score"] >= threshold]
            judged.append((own, judge(truth, change.image_id, own, kind, limit)))
        window = worst_window(change.image_id, truth, *judged[1]) if is_huge(image.size) else None
        part = Part.of(image, window)
        pictures = [draw_truth(part, change.image_id, truth), *(draw_found(part, *pair, truth) for pair in judged)]
        shown.append((change, data.labels.file_name(number) + part.place, pictures))
    return shown
