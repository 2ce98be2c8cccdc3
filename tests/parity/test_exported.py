"""Exported models against the network: other libraries' golden models, and those that come with the package."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.exported import exported_of
from maskrcnn.errors import UserError
from maskrcnn.loading import bundled_models, load_network
from maskrcnn.masks.rle import decode_rle
from maskrcnn.model import Model
from maskrcnn.prediction import Prediction
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.sources import source_pixels
from maskrcnn.structures.masks import ByteArray
from parity.golden import CASES, load_golden

EXAMPLES = Path(__file__).parents[2] / "examples" / "nuclei_mini" / "images"
KINDS = ("full", "blank", "mixed")
ROUNDED = "d2_fpn_gn"
"""PyTorch's own float32 scores of this model lie up to 6e-4 from those in float64 (exported ones 3e-5), more
than what is allowed here between the two."""


@cache
def golden(shared: Path, name: str) -> tuple[Model, ExportedModel, ByteArray]:
    """A model of another library, exported, and a photograph in which it finds something."""
    case = load_golden(shared, name)
    network = Model(case.model, case.categories, case.config, accelerate=False)
    exported = exported_of(case.model, case.config, categories=case.categories)
    return network, exported, case.tensors["image.0"].numpy()


def batches(picture: ByteArray, number: int) -> Iterator[list[ByteArray]]:
    """So many batches of one to four images, no two of a size."""
    rng = np.random.default_rng(0)
    for i in range(number):
        images = []
        for j in range(1 + i % 4):
            height, width = rng.integers(48, 320, 2).tolist()
            empty = KINDS[i % 3] == "blank" or (KINDS[i % 3] == "mixed" and j % 2 == 1)
            whole = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            images.append(np.full_like(whole, 190) if empty else whole)
        yield images


def require_same(found: Prediction, expected: Prediction) -> None:
    """Equal counts and classes, boxes within 0.01 pixels, scores within 1e-4, masks within an IoU of 0.995."""
    assert sorted(found.names) == sorted(expected.names)
    apart = np.abs(expected.boxes[:, None] - found.boxes[None]).max(axis=2)
    apart[expected.labels[:, None] != found.labels[None]] = np.inf
    partner = apart.argmin(axis=1) if len(expected) else np.zeros(0, int)
    assert len(set(partner.tolist())) == len(expected), "two objects for one"
    again = found[partner]
    np.testing.assert_allclose(again.boxes, expected.boxes, atol=0.01, rtol=0)
    np.testing.assert_allclose(again.scores, expected.scores, atol=1e-4, rtol=0)
    for mine, theirs in zip(again.rle(), expected.rle(), strict=True) if expected.has_masks else ():
        a, b = decode_rle(mine).view(bool), decode_rle(theirs).view(bool)
        assert (a & b).sum() >= 0.995 * (a | b).sum()


def compare(network: Model, exported: ExportedModel, picture: ByteArray, number: int) -> int:
    """The number of objects that were compared."""
    threshold, objects = network.config.box_head.score_threshold, 0
    for images in batches(picture, number):
        pairs = (model.stream(images, len(images), threshold) for model in (network, exported))
        for expected, found in zip(*pairs, strict=True):
            require_same(found, expected)
            objects += len(expected)
    return objects


def test_a_golden_model(shared: Path) -> None:
    assert compare(*golden(shared, "tv_maskrcnn_fpn"), 2) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name != ROUNDED])
def test_golden_models(shared: Path, name: str) -> None:
    assert compare(*golden(shared, name), 20) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", bundled_models())
def test_models_that_come_with_the_package(name: str) -> None:
    try:
        network = load_network(name, "cpu", accelerate=False)
    except UserError:
        pytest.skip("a backbone alone")
    exported = exported_of(network.network, network.config, categories=network.categories)
    assert compare(network, exported, source_pixels(EXAMPLES / "fluorescence_91.png"), 20) > 20
