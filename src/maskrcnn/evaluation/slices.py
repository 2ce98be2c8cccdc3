"""Parts of a data set that may go differently: images with few and many objects, small and large ones, and groups."""

from __future__ import annotations

from collections.abc import Container
from itertools import chain, count

import numpy as np

from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

FEWEST_IMAGES = 3
"""Of a slice: thirds of fewer mean nothing."""

MOST_GROUPS = 12
"""More are not shown."""


def image_slices(truth: GroundTruth) -> dict[str, BoolArray]:
    """Which of the N images belong to each, by name; sizes are the data's own terciles, not COCO's 32 and 96 pixels."""
    numbers, sizes = objects_and_sizes(truth)
    return {
        **_thirds("objects in an image", numbers),
        **_thirds("size of objects (root of area)", sizes),
        **_largest_groups(truth),
    }


def groups_of(truth: GroundTruth) -> IntArray:
    """(N,) the group of each image; each image its own where the labels tell none apart."""
    of_all = truth.labels.groups.numpy()
    groups = of_all[list(truth.images.values())]
    return groups if len(np.unique(of_all)) > 1 else np.arange(len(groups))


def objects_and_sizes(truth: GroundTruth) -> tuple[FloatArray, FloatArray]:
    """(N,) how many objects each image has, and the median root of their boxes' areas, NaN without any."""
    labels = truth.labels
    roots = np.sqrt(labels.stated_boxes[:, 2:].numpy().prod(axis=1))
    counts, sizes = [], []
    for number in truth.images.values():
        objects = labels.objects(number)
        part = slice(objects.start, objects.stop)
        own = roots[part][~labels.ignore[part].numpy()]
        counts.append(len(own))
        sizes.append(float(np.median(own)) if len(own) else np.nan)
    return np.array(counts, np.float64), np.array(sizes, np.float64)


def _thirds(what: str, values: FloatArray) -> dict[str, BoolArray]:
    known = values[np.isfinite(values)]
    if len(known) < 3 * FEWEST_IMAGES:
        return {}
    low, high = np.quantile(known, [1 / 3, 2 / 3]).tolist()
    if low == high:
        return {}
    parts = {
        f"{what}: up to {low:.4g}": values <= low,
        f"{what}: {low:.4g} to {high:.4g}": (values > low) & (values <= high),
        f"{what}: above {high:.4g}": values > high,
    }
    return {name: chosen for name, chosen in parts.items() if chosen.sum() >= FEWEST_IMAGES}


def _largest_groups(truth: GroundTruth) -> dict[str, BoolArray]:
    """The groups that the labels tell apart, largest first."""
    groups = truth.labels.groups.numpy()[list(truth.images.values())]
    numbers, sizes = np.unique(groups, return_counts=True)
    if len(numbers) < 2 or not truth.group_names:
        return {}
    largest = np.argsort(-sizes, kind="stable")[:MOST_GROUPS]
    slices: dict[str, BoolArray] = {}
    for i in largest:
        if sizes[i] >= FEWEST_IMAGES:
            slices[_distinct(truth.group_names[numbers[i]], slices)] = groups == numbers[i]
    return slices


def _distinct(name: str, taken: Container[str]) -> str:
    """Numbered where another is called the same: 1 and "1" print alike, and so do long names that are cut."""
    return next(own for own in chain([name], (f"{name} ({number})" for number in count(2))) if own not in taken)
