"""Labels and given predictions compared, without a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.data.channel_files import read_labelled_pixels
from maskrcnn.data.channels import RGB, UNKNOWN, Channels
from maskrcnn.data.coco import Crowd, LabelledImages, read_coco, with_street
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.geometry import View
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.panoptic import draw_panoptic
from maskrcnn.data.semantic import draw_semantic
from maskrcnn.data.windowed.files import LabelledFile
from maskrcnn.errors import UserError
from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.evaluation.doubts import doubts_of
from maskrcnn.evaluation.joining import Renamed, joined
from maskrcnn.evaluation.metrics import IouType, Metrics
from maskrcnn.evaluation.parts import is_huge
from maskrcnn.evaluation.predictions import GEOMETRY
from maskrcnn.evaluation.report import write_report
from maskrcnn.evaluation.table import format_table
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.files import make_folder, write_atomically
from maskrcnn.json_values import load_json
from maskrcnn.structures import Categories
from maskrcnn.structures.large_image import LargeImage, WholeImage
from maskrcnn.structures.masks import ByteArray
from maskrcnn.structures.panoptic import PanopticMap
from maskrcnn.structures.semantic import IGNORED
from maskrcnn.text import one_line


def evaluate_predictions(
    annotations: str | PathLike[str] | Mapping[str, Any] | LabelContent,
    predictions: str | PathLike[str] | Sequence[Mapping[str, Any]],
    output: str | PathLike[str] | None = None,
    *,
    images: str | PathLike[str] | None = None,
    iou_types: Sequence[IouType] | None = None,
    max_detections: int = 100,
    score_threshold: float = 0.5,
    crowd: Crowd = "ignore",
    group_by: str = "",
    say: Callable[[str], object] = print,
) -> Metrics:
    """Measure results that any program found, in COCO's form, and write `metrics.json`.

    Args:
        annotations: a COCO instances or keypoints file, its content, or what was read from labels of another form.
        predictions: COCO results (image_id, category_id, score, and bbox, segmentation and/or keypoints) or their file;
            where they carry file_name and category_name, these say which image and class is meant, not the ids.
        output: where `metrics.json` goes, and `report.html` if there are images; None writes nothing.
        images: the folder of the images, for their true sizes and the report; None: they are not looked at.
        iou_types: what to compare; None: what the results hold of masks, boxes and keypoints.
        max_detections: per image and class, those that count (COCO's maxDets).
        score_threshold: for the per-image numbers and the pictures; AP and AR use all detections.
        crowd: what annotations with iscrowd 1 are.
        group_by: field of the image records whose values tell groups of images apart: intervals keep a group together,
            and large groups are measured apart; empty: each image for itself.
        say: gets the table of results.

    Raises:
        UserError: unreadable input, predictions that do not belong to these labels, or `output` cannot be written.
    """
    folder = None if images is None else Path(images)
    file = Path(predictions) if isinstance(predictions, str | PathLike) else None
    results: Any = predictions if file is None else load_json(file)
    kinds = tuple(iou_types) if iou_types is not None else kinds_in(results)
    need_masks = "mask" in kinds or not kinds
    settings: dict[str, Any] = {
        "check_files": folder is not None,
        "need_masks": need_masks,
        "crowd": crowd,
        "group_by": group_by,
        "channels": UNKNOWN,
    }
    data = _read(annotations, folder, **settings)
    require_groups(data, group_by)
    truth = ground_truth_of(data)
    try:
        compared = kinds or _expected(truth)
        results, notes = joined(results, truth, renamed_classes(annotations))
        metrics = evaluate_coco(truth, results, max_detections, compared, score_threshold, explain=output is not None)
    except UserError as error:
        raise (error if file is None else UserError(f"{file}: {error}")) from None
    notes += doubts_of(results, truth, compared)
    metrics = replace(metrics, warnings=(*data.report.faults(), *notes, *metrics.warnings))
    say(format_table(metrics))
    if output is not None:
        make_folder(Path(output))
        write_metrics(Path(output), metrics)
        if folder is not None:
            title = f"{file.name if file else 'predictions'} on {Path(data.report.source).name}"
            pictures = partial(_picture, data, truth)
            write_report(Path(output) / "report.html", metrics, truth, results, pictures, title)
    return metrics


def _read(
    labels: str | PathLike[str] | Mapping[str, Any] | LabelContent, folder: Path | None, **how: Any
) -> LabelledImages:
    if isinstance(labels, LabelContent):
        return with_street(read_coco(labels.coco, folder, source=str(labels.source), **how), labels.coco)
    return read_coco(labels if isinstance(labels, Mapping) else Path(labels), folder, **how)


def renamed_classes(labels: object) -> Renamed:
    """What a class map has made of the classes of labels that were read with one."""
    return labels.renamed if isinstance(labels, LabelContent) else {}


def require_groups(data: LabelledImages, group_by: str) -> None:
    """Refuse a field that a user has named and that no image record has.

    Raises:
        UserError: naming it.
    """
    if group_by and not any(name != f"{group_by} unknown" for name in data.group_names):
        raise UserError(
            f"{data.report.source}: expected a field of the image records to group images by, got "
            f"{one_line(group_by)}, which none of them has"
        )


def ground_truth_of(data: LabelledImages) -> GroundTruth:
    """All objects of a data set, to be found."""
    return GroundTruth(
        data.report.source,
        data.categories,
        data.labels,
        group_names=data.group_names,
        federated=data.federated,
        street=data.street,
    )


def write_metrics(folder: Path, metrics: Metrics) -> None:
    """`metrics.json` in a folder."""
    write_atomically(folder / "metrics.json", json.dumps(metrics.to_dict(), indent=2, allow_nan=False) + "\n")


def read_picture(data: LabelledImages, number: int, max_pixels: int) -> ByteArray:
    """(H, W, 3) uint8 RGB of an image of a data set, to look at, in the orientation its labels refer to."""
    return data.channels.picture(read_input(data, number, data.channels, max_pixels))


def opened_picture(data: LabelledImages, number: int, max_pixels: int) -> LargeImage:
    """The same, in memory where it is looked at as a whole, else to be read in windows."""
    labels, channels = data.labels, data.channels
    size = labels.size(number)
    is_large = is_huge(size) or size[0] * size[1] > max_pixels
    if is_large and (channels.rgb or channels == UNKNOWN):
        return LabelledFile(data.folder / labels.file_name(number), size, RGB, max_pixels)
    return WholeImage(read_picture(data, number, max_pixels))


def read_input(data: LabelledImages, number: int, channels: Channels, max_pixels: int) -> ByteArray:
    """The same for a model: (H, W, C) uint8 of its channels."""
    labels = data.labels
    return read_labelled_pixels(data.folder / labels.file_name(number), labels.size(number), channels, max_pixels)


def _picture(data: LabelledImages, truth: GroundTruth, image_id: int) -> LargeImage:
    return opened_picture(data, truth.images[image_id], MAX_PIXELS)


def kinds_in(results: Any) -> tuple[IouType, ...]:
    """What results hold; nothing where there are none."""
    entries = results if isinstance(results, list) else []
    keys = {key for entry in entries if isinstance(entry, Mapping) for key in entry}
    return tuple(kind for kind, key in GEOMETRY.items() if key in keys)


def _expected(truth: GroundTruth) -> tuple[IouType, ...]:
    return ("mask", "box") if truth.has_masks() else ("box",)


def true_panoptic_map(data: LabelledImages, number: int, categories: Categories) -> PanopticMap:
    """To what each pixel belongs by the labels of an image, as labels in `categories`; other classes are void."""
    ours = {name: label for label, name in enumerate(categories.names)}
    classes = {label: ours[name] for label, name in enumerate(data.categories.names) if name in ours}
    return draw_panoptic(data, number, classes, len(categories))


def true_label_map(data: LabelledImages, number: int, categories: Categories) -> ByteArray:
    """The class of each pixel by the labels of an image, as a label in `categories`; other classes are ignored."""
    ours = {name: label for label, name in enumerate(categories.names)}
    values = np.array([ours.get(name, IGNORED) for name in data.categories.names], np.uint8)
    background = IGNORED if data.has_void else len(ours)
    return draw_semantic(data.labels, number, View.whole(data.labels.size(number)), values, background)
