"""One data set without a split: which images are to learn from and which to measure on.

What belongs together stays on one side, so that nothing is measured on what was learned: images of one value of a field
of their records, where one is named; else copies that Roboflow varied of one picture (`.rf.`); else a series, files
whose names differ in a last number alone and number most places of a row (frames of a film); and files of equal content
always. Where series leave no fair division, their images are taken one by one, and that is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.coco_annotations import Annotations
from maskrcnn.data.coco_owners import looked_up
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.shapes import entries
from maskrcnn.data.leaks import find_copies, origin_of
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number
from maskrcnn.text import counted, one_line

TRIES = 64
"""Draws of which the best is taken: without them rare classes often lie on one side alone."""

FAIR = 2.0
"""Measured on may be so many times fewer or more images than asked for before series are given up."""

_NUMBERED = re.compile(r"(.*\D)(\d{1,18})\D?", re.DOTALL)
"""A stem that ends in a number, perhaps in brackets: `frame_012`, `walk (3)`. Numbers alone are no series."""

_Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Division:
    """Which images are for measuring.

    Attributes:
        is_val: (N,) bool.
        reason: how they were chosen, for people.
    """

    is_val: npt.NDArray[np.bool_]
    reason: str


def divide(content: LabelContent, fraction: float, group_by: str = "", seed: int = 0) -> Division:
    """Choose about `fraction` of the images for measuring, at least one where that leaves one to learn from.

    Args:
        content: N images; the same content gives the same division.
        fraction: above 0, below 1.
        group_by: a field of the image records; images of one value stay together. Empty: by their names.
        seed: of the draw.

    Raises:
        UserError: no image has the field to group by.
    """
    images = content.coco["images"]
    stay_together = _require_field(content, group_by) if group_by else ""
    copies = [found.members for found in find_copies([content.folder / str(i.get("file_name")) for i in images])]
    keys = [_key(image, group_by) for image in images]
    fixed = _joined(keys, copies)
    objects = _objects(content)
    if not group_by and (series := _series([str(image.get("file_name")) for image in images])):
        together = _joined(keys, [*copies, *series])
        is_val = _drawn(together, objects, fraction, seed)
        if 1 / FAIR <= is_val.sum() / (fraction * len(images)) <= FAIR:
            return Division(is_val, f"{len(series)} numbered series stay together")
        return Division(_drawn(fixed, objects, fraction, seed), "one by one: their names are too few series to divide")
    is_val = _drawn(fixed, objects, fraction, seed)
    return Division(is_val, stay_together or "drawn at random")


def _require_field(content: LabelContent, field: str) -> str:
    """Refuse a field that no image has, since nothing would stay together; else what the division does by it."""
    images = content.coco["images"]
    lacking = sum(not isinstance(image.get(field), str | int | float) for image in images)
    if images and lacking == len(images):
        raise UserError(
            f"{content.source}: expected a field of the image records to group images by, got data.group_by="
            f"{one_line(field)}, which none of them has; only COCO files have fields besides the names of images"
        )
    others = f", {counted(lacking, 'image')} without it by the names" if lacking else ""
    return f"images of one {field!r} stay together{others}"


def _key(image: Mapping[str, Any], field: str) -> Hashable:
    """What an image shares with those it belongs to: the value of a field, or its origin where it has none."""
    value = image.get(field)
    origin = origin_of(PurePosixPath(str(image.get("file_name"))).name)
    return (field, value) if isinstance(value, str | int | float) else origin


def _series(names: Sequence[str]) -> list[tuple[int, ...]]:
    """The numbers of images that are steps of one row."""
    rows: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for number, name in enumerate(names):
        path = PurePosixPath(name)
        if (found := _NUMBERED.fullmatch(path.stem)) is not None:
            rows.setdefault((str(path.parent), found[1], path.suffix), []).append((int(found[2]), number))
    return [tuple(number for _, number in row) for row in rows.values() if _is_row(sorted({step for step, _ in row}))]


def _is_row(steps: Sequence[int]) -> bool:
    """Whether at least half of the places from the first to the last are taken: every one, every tenth, ..."""
    if len(steps) < 2:
        return False
    stride = math.gcd(*(b - a for a, b in pairwise(steps)))
    return (steps[-1] - steps[0]) // stride + 1 <= 2 * len(steps)


def _joined(keys: Sequence[Hashable], together: Sequence[Sequence[int]]) -> _Labels:
    """(N,) numbers of groups: equal keys and what is named together; an image without a key is its own."""
    first: dict[Hashable, int] = {}
    parents = [n if key is None else first.setdefault(key, n) for n, key in enumerate(keys)]

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for members in together:
        for member in members[1:]:
            parents[root(member)] = root(members[0])
    return np.unique([root(number) for number in range(len(keys))], return_inverse=True)[1].astype(np.int64)


def _objects(content: LabelContent) -> tuple[_Labels, _Labels]:
    """The image and the class of every object, as numbers from 0."""
    images: dict[int | None, int] = {}
    for number, image in enumerate(content.coco["images"]):
        images.setdefault(id_number(image.get("id")), number)
    annotations = content.coco["annotations"]
    if isinstance(annotations, Annotations):
        return _packed_objects(annotations, {number: place for number, place in images.items() if number is not None})
    classes: dict[int | None, int] = {}
    pairs = [
        (images[image], classes.setdefault(id_number(entry.get("category_id")), len(classes)))
        for entry in entries(annotations)
        if (image := id_number(entry.get("image_id"))) in images and entry.get("iscrowd") != 1
    ]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _packed_objects(annotations: Annotations, images: Mapping[int, int]) -> tuple[_Labels, _Labels]:
    owners = looked_up(np.asarray(annotations.image_ids), images)
    is_object = (owners >= 0) & ~annotations.are_crowds()
    _, classes = np.unique(np.asarray(annotations.category_ids)[is_object], return_inverse=True)
    return owners[is_object], classes.astype(np.int64)


def _drawn(groups: _Labels, objects: tuple[_Labels, _Labels], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Of several draws that in which the classes are divided best: all of them learned, each measured in proportion."""
    generator, cost = np.random.default_rng(seed), _cost_of(objects, fraction)
    draws = [_draw(groups, fraction, generator) for _ in range(TRIES)]
    return min(draws, key=cost)


def _draw(groups: _Labels, fraction: float, generator: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Groups in a random order, each taken where that brings the number of images nearer to the wanted one."""
    sizes, wanted, taken = np.bincount(groups), max(1.0, fraction * len(groups)), 0
    chosen = np.zeros(len(sizes), dtype=bool)
    order = generator.permutation(len(sizes))
    for group in order:
        if abs(taken + sizes[group] - wanted) < abs(taken - wanted):
            chosen[group] = True
            taken += sizes[group]
    if not taken and len(sizes):  # each group alone is more than twice as much as is wanted: the smallest
        chosen[sizes.argmin()] = True
    return chosen[groups] if not chosen.all() else np.zeros(len(groups), dtype=bool)


def _cost_of(objects: tuple[_Labels, _Labels], fraction: float) -> Callable[[npt.NDArray[np.bool_]], float]:
    """Classes that would not be learned, then how far the objects of each class are from the wanted part."""
    of_image, of_class = objects
    totals = np.bincount(of_class)

    def cost(is_val: npt.NDArray[np.bool_]) -> float:
        measured = np.bincount(of_class[is_val[of_image]], minlength=len(totals))
        unlearned = ((measured == totals) & (totals > 0)).sum()
        return (
            float(unlearned + (np.abs(measured - fraction * totals) / np.maximum(totals, 1)).mean())
            if len(totals)
            else 0.0
        )

    return cost
