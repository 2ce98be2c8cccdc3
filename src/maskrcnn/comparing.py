"""Two results on one set of labels compared, and what came of it written down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from maskrcnn.compared_sides import Side, comparison_warnings, seen_by_both
from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.errors import UserError
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.comparison import Comparison, ImageChange, compare_matches
from maskrcnn.evaluation.comparison_page import IMAGES_SHOWN, comparison_lines, comparison_page
from maskrcnn.evaluation.counting import count
from maskrcnn.evaluation.joining import Renamed, joined
from maskrcnn.evaluation.matching import Matches, best_operating_point
from maskrcnn.evaluation.metrics import IouType, detection_limit
from maskrcnn.evaluation.parts import Part, is_huge, worst_window
from maskrcnn.evaluation.pictures import draw_found, draw_truth
from maskrcnn.evaluation.predictions import GEOMETRY, Result, read_predictions
from maskrcnn.evaluation.slices import groups_of, image_slices
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import judge
from maskrcnn.files import make_folder, write_atomically
from maskrcnn.json_values import load_json
from maskrcnn.label_rules import LabelRules
from maskrcnn.scoring import ground_truth_of, opened_picture, renamed_classes

RULES = LabelRules()


def compare_results(
    annotations: str | PathLike[str] | LabelContent,
    first: Side,
    second: Side,
    output: str | PathLike[str],
    *,
    images: str | PathLike[str] | None = None,
    max_detections: int = 100,
    rules: LabelRules = RULES,
    seed: int = 0,
    say: Callable[[str], object] = print,
) -> dict[IouType, Comparison]:
    """Compare two files of COCO results, and write `comparison.json` and `comparison.html`.

    Images that a model could not read are left out of both.

    Args:
        annotations: a COCO instances or keypoints file, or what was read from labels of any form.
        first: A.
        second: B.
        output: the folder to write into.
        images: the folder of a COCO file's images, to show those that differ most; None: none is shown.
        max_detections: per image and class, those that count.
        rules: how the labels are read.
        seed: of the random halves.
        say: gets the warnings and the tables.

    Raises:
        UserError: unreadable input, results that do not belong to these labels or hold nothing in common.
    """
    make_folder(Path(output))
    sides = (first, second)
    contents = [load_json(side.results) for side in sides]
    kinds = _common_kinds(sides, contents)
    has_images = images is not None or isinstance(annotations, LabelContent)
    folder = None if images is None else Path(images)
    data = rules.read(annotations, folder, check_files=has_images, need_masks="mask" in kinds)
    everything = ground_truth_of(data)
    truth = seen_by_both(everything, sides)
    kinds = [kind for kind in kinds if kind != "mask" or truth.has_masks()] or kinds
    renamed = renamed_classes(annotations)
    checked = [_checked(side, c, everything, kinds, renamed) for side, c in zip(sides, contents, strict=True)]
    results, notes = [_in(truth, found) for found, _ in checked], [lines for _, lines in checked]
    warnings = comparison_warnings(data, truth, sides, results, notes, max_detections, kinds)
    matches: dict[IouType, list[list[Matches]]] = {
        kind: [_matches(truth, found, kind, max_detections) for found in results] for kind in kinds
    }
    comparisons: dict[IouType, Comparison] = {kind: _compare(truth, pair, seed) for kind, pair in matches.items()}
    say(f"A: {first.name}\nB: {second.name}\n\n{comparison_lines(comparisons, warnings)}")
    shown: list[tuple[ImageChange, str, Sequence[str]]] = []
    if has_images:
        thresholds = [best_operating_point(own).score for own in matches[kinds[0]]]
        limit = detection_limit(kinds[0], max_detections)
        shown = _pictures(data, truth, results, thresholds, comparisons[kinds[0]], kinds[0], limit)
    title = f"A: {first.name}, B: {second.name} on {Path(data.report.source).name}"
    write_atomically(Path(output) / "comparison.html", comparison_page(title, comparisons, shown, warnings))
    content: dict[str, Any] = {
        "A": first.name,
        "B": second.name,
        "warnings": warnings,
        **{kind: found.to_dict() for kind, found in comparisons.items()},
    }
    write_atomically(Path(output) / "comparison.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    return comparisons


def _common_kinds(sides: Sequence[Side], contents: Sequence[Any]) -> list[IouType]:
    kinds = [kind for kind in GEOMETRY if all(kind in side.kinds(c) for side, c in zip(sides, contents, strict=True))]
    if not kinds:
        names = " and ".join(str(side.results) for side in sides)
        raise UserError(f"{names}: expected results with masks, boxes or keypoints in both")
    return kinds


def _checked(
    side: Side, found: Any, truth: GroundTruth, kinds: Sequence[IouType], renamed: Renamed
) -> tuple[Sequence[Result], list[str]]:
    """Results that belong to the labels, and lines on how they were joined."""
    try:
        own, lines = joined(found, truth, renamed)
        return read_predictions(own, truth, kinds), lines
    except UserError as error:
        raise UserError(f"{side.results}: {error}") from None


def _in(truth: GroundTruth, found: Sequence[Result]) -> list[Result]:
    """The results in these images."""
    return [result for result in found if result["image_id"] in truth.images]


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
