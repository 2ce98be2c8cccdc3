"""All pictures of a report: the worst and best images, and the worst errors of each kind; an image is read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maskrcnn.evaluation.case_pictures import CaseDrawer, CasePicture
from maskrcnn.evaluation.explanation import ErrorCase
from maskrcnn.evaluation.metrics import Metrics, detection_limit
from maskrcnn.evaluation.parts import Part, is_huge, worst_window
from maskrcnn.evaluation.pictures import Example, LoadImage, choose_images, draw_example
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import judge

NUM_WORST, NUM_BEST = 6, 4


@dataclass(frozen=True)
class Gallery:
    """The pictures of a report.

    Attributes:
        worst: images, worst first.
        best: images, best first.
        errors: by kind, worst first.
    """

    worst: Sequence[Example] = ()
    best: Sequence[Example] = ()
    errors: Mapping[str, Sequence[CasePicture]] = field(default_factory=dict)


NO_PICTURES = Gallery()


def make_gallery(metrics: Metrics, truth: GroundTruth, predictions: Sequence[Result], load_image: LoadImage) -> Gallery:
    """Draw what the numbers of the first IoU type say is worth a look."""
    for iou_type, numbers in metrics.by_type.items():
        worst, best = choose_images(numbers, NUM_WORST, NUM_BEST)
        kinds = {} if numbers.explanation is None else numbers.explanation.worst
        drawer = CaseDrawer(truth, predictions, iou_type)
        shown = {image.image_id: image for image in (*worst, *best)}
        found = _by_image(shown, predictions, metrics.score_threshold)
        cases = _cases_by_image(kinds, drawer)
        limit = detection_limit(iou_type, metrics.max_detections)
        examples: dict[int, Example] = {}
        pictures: dict[ErrorCase, CasePicture] = {}
        for image_id in sorted({*shown, *cases}):
            image = load_image(image_id)
            if image_id in shown:
                verdicts = judge(truth, image_id, found[image_id], iou_type, limit)
                huge = is_huge(image.size)
                window = worst_window(image_id, truth, found[image_id], verdicts) if huge else None
                part = Part.of(image, window)
                examples[image_id] = draw_example(shown[image_id], truth, found[image_id], verdicts, part)
            pictures |= {case: drawer.draw(case, image) for case in cases.get(image_id, ())}
        return Gallery(
            [examples[image.image_id] for image in worst],
            [examples[image.image_id] for image in best],
            {kind: [pictures[case] for case in own] for kind, own in kinds.items()},
        )
    return NO_PICTURES


def _by_image(images: Mapping[int, object], predictions: Sequence[Result], threshold: float) -> dict[int, list[Result]]:
    """The predictions at or above a score in some images."""
    found: dict[int, list[Result]] = {image_id: [] for image_id in images}
    for result in predictions:
        if result["score"] >= threshold and result["image_id"] in found:
            found[result["image_id"]].append(result)
    return found


def _cases_by_image(kinds: Mapping[str, Sequence[ErrorCase]], drawer: CaseDrawer) -> dict[int, list[ErrorCase]]:
    cases: dict[int, list[ErrorCase]] = {}
    for case in (case for own in kinds.values() for case in own):
        cases.setdefault(drawer.image_id(case), []).append(case)
    return cases
