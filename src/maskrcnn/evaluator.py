"""Run a model over an annotated data set; `evaluation/` measures what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from os import PathLike
from pathlib import Path
from typing import Any

from maskrcnn.conclusion import concluded
from maskrcnn.config import Config
from maskrcnn.data.coco import Crowd, LabelledImages, read_to_measure, without_classes
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.naming import Naming
from maskrcnn.data.formats.table import Labels, open_labels, read_any
from maskrcnn.data.outputs import is_output
from maskrcnn.data.proposals import ProposalStore, read_proposals
from maskrcnn.data.stuff import with_stuff_of
from maskrcnn.dataset_prediction import Found, predict_dataset
from maskrcnn.errors import UserError
from maskrcnn.evaluation.metrics import Metrics
from maskrcnn.evaluation.panoptic import PanopticCounts
from maskrcnn.evaluation.pixel_pictures import PixelExamples
from maskrcnn.evaluation.semantic import Confusion
from maskrcnn.evaluation_run import Alone, EvaluationRun, Outcome, Sharing
from maskrcnn.files import make_folder
from maskrcnn.large.prediction import AUTO, Cutting
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import Predictor
from maskrcnn.scoring import require_groups
from maskrcnn.structures import Categories
from maskrcnn.structures.masks import ByteArray
from maskrcnn.text import brief

PROGRESS_EVERY = 50
"""Images between two lines of progress."""

ALONE = Alone()

Look = Callable[[int, Prediction], ByteArray | None]


def evaluate(
    model: Predictor[Any],
    annotations: str | PathLike[str] | LabelContent,
    images: str | PathLike[str] | None = None,
    output: str | PathLike[str] | None = None,
    *,
    max_detections: int | None = None,
    score_threshold: float = 0.5,
    batch_size: int = 1,
    proposals: str | Path | None = None,
    crowd: Crowd | None = None,
    group_by: str = "",
    tile: str | int = "auto",
    overlap: int | None = None,
    background: int = 0,
    report: bool = True,
    say: Callable[[str], object] = print,
) -> Metrics:
    """Measure a model on annotated images; they stream through, so that memory does not grow with their size.

    Args:
        model: from `load`; or `Model(network, categories, config, device)` for a network that is being trained.
        annotations: labels of any form, or what was read from them; classes are compared with the model's by name.
        images: the folder that a COCO file's names are relative to; None: `images` beside it.
        output: where `predictions.json`, `metrics.json` and `report.html` go; None writes nothing.
        max_detections: per image, those that count (COCO's maxDets); None: the model's `evaluation.max_detections`.
        score_threshold: for the per-image numbers and the pictures; AP and AR use everything the model finds.
        batch_size: images per pass through the network.
        proposals: for a model without RPN: a file of COCO results, whose boxes it looks at.
        crowd: whether annotations with iscrowd 1 are ignored or objects; None: the model's `data.crowd`.
        group_by: field of the image records whose values tell groups of images apart, such as the film that frames
            come from: intervals keep a group together, and large groups are measured apart; empty: the model's
            `data.group_by`.
        tile: "auto", "none" or a number of pixels: which images are cut into tiles, as `maskrcnn predict --tile` does;
            in these `max_detections` is the limit of a tile, and all that is found counts.
        overlap: of tiles, as for `predict_large`.
        background: as for `predict_large`.
        report: whether to write `report.html` too.
        say: gets the lines of progress and the table of results.

    Raises:
        UserError: unreadable data, no class in common, or `output` cannot be written or holds results of `predict`.
    """
    if not isinstance(model, Predictor):
        raise UserError(f"evaluate: expected a model, such as load('nuclei'), got {brief(model)}")
    target, folder = (None if path is None else Path(path) for path in (output, images))
    data = read_any(
        _opened(annotations, folder, model),
        folder,
        read_to_measure,
        check_files=True,
        max_pixels=model.config.data.max_pixels,
        need_masks="mask_head" in model.branches or model.config.semantic_head.enabled,
        crowd=crowd or model.config.data.crowd,
        group_by=group_by or model.config.data.group_by,
        channels=model.channels,
    )
    require_groups(data, group_by)
    if target is not None:  # before the predictions, which take time
        _make_output(target)
    run = observed(
        model,
        data,
        max_detections=max_detections,
        score_threshold=score_threshold,
        batch_size=batch_size,
        proposals=proposals,
        cutting=Cutting(tile, overlap, background),
        examples=report and target is not None,
        say=say,
    )
    return concluded(run, model, target, report=report, say=say)


def _opened(annotations: str | PathLike[str] | LabelContent, images: Path | None, model: Predictor[Any]) -> Labels:
    """What was read already, or the labels that are named: with keypoints where the model finds some."""
    if isinstance(annotations, LabelContent):
        return annotations
    return open_labels(Path(annotations), images, Naming(keypoints=model.config.keypoint_head.enabled))


def _make_output(folder: Path) -> None:
    make_folder(folder)
    if is_output(folder):
        raise UserError(
            f"{folder}: results of predict, of which an evaluation replaces predictions.json; choose another output"
        )


def observed(
    model: Predictor[Any],
    data: LabelledImages,
    *,
    max_detections: int | None = None,
    score_threshold: float = 0.5,
    batch_size: int = 1,
    proposals: str | Path | None = None,
    cutting: Cutting = AUTO,
    examples: bool = True,
    say: Callable[[str], object] = print,
    sharing: Sharing = ALONE,
    look: Look = lambda *_: None,
    after: Callable[[Sequence[Outcome]], object] = lambda _: None,
) -> EvaluationRun:
    """The first half of `evaluate`: what the model finds in images whose labels are read already.

    Args:
        model: as in `evaluate`.
        data: the images and their labels.
        max_detections: as in `evaluate`.
        score_threshold: as in `evaluate`.
        batch_size: images per pass through the network.
        proposals: as in `evaluate`.
        cutting: which images are cut into tiles, and how.
        examples: whether to keep label maps for the report.
        say: gets the lines of progress.
        sharing: by which several processes look at an image each; the first one gets the whole, the others nothing.
        look: called in the process that looks at an image, with its number and what was found; makes `Outcome.overlay`.
        after: called after each round of images, in all processes; what it raises ends the evaluation.

    Raises:
        UserError: no class in common, unusable proposals, proposals and tiles of a given size, or a process that shares
            the images has ended.
    """
    if proposals is not None and isinstance(cutting.tile, int):
        raise UserError("tiles: proposals are given for whole images; leave out one of the two")
    given = None if proposals is None else _read_proposals(Path(proposals), data)
    limit = model.config.evaluation.max_detections if max_detections is None else max_detections
    run = _run(model, data, limit, score_threshold, examples)
    if given is None:
        run.is_cut = partial(cutting.cuts, config=model.config)
    count = len(run.data.labels)
    find = partial(predict_dataset, model, run.data, run.max_detections, batch_size, proposals=given, cutting=cutting)
    own = _outcomes(find, run, sharing.share_of(count), look)
    for outcomes in sharing.in_rounds(own, count):
        for outcome in outcomes:
            run.add(outcome)
            if not outcome.error and len(run.images) % PROGRESS_EVERY == 0:
                say(f"{len(run.images)} of {count} images")
        after(outcomes)
    return run


def as_measured(data: LabelledImages, categories: Categories, config: Config) -> LabelledImages:
    """The labels as a model can be measured on them: with its stuff, and with one class for one that tells none."""
    data = with_stuff_of(data, categories, config.data.stuff)
    return data if config.tells_classes else without_classes(data)


def _run(
    model: Predictor[Any], data: LabelledImages, max_detections: int, score_threshold: float, examples: bool
) -> EvaluationRun:
    confusion = Confusion(model.categories.names) if model.config.semantic_head.enabled else None
    return EvaluationRun(
        as_measured(data, model.categories, model.config),
        model.categories,
        model.config.data.max_pixels,
        max_detections,
        confusion,
        PanopticCounts(model.categories) if confusion and "mask_head" in model.branches else None,
        score_threshold,
        PixelExamples() if examples and confusion is not None else None,
    )


def _outcomes(find: Callable[..., Found], run: EvaluationRun, numbers: Sequence[int], look: Look) -> Iterator[Outcome]:
    """One for each of these images, in their order."""
    errors: dict[int, str] = {}  # by the thread that reads ahead

    def note(number: int, error: UserError) -> None:
        errors[number] = str(error)

    left = iter(numbers)
    for number, prediction in find(on_error=note, numbers=numbers):
        yield from (Outcome(other, errors[other]) for other in takewhile(number.__ne__, left))
        yield run.outcome(number, prediction, look(number, prediction))
    yield from (Outcome(other, errors[other]) for other in left)


def _read_proposals(path: Path, data: LabelledImages) -> ProposalStore:
    return read_proposals(path, data.labels.file_names, data.labels.image_ids.tolist())
