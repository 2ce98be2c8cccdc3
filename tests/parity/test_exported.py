"""Exported models against the network: other libraries' golden models, and those that come with the package.

In golden models, whose weights are random, the rounding of float32 grows to some 1e-3 pixels, 1e-5 of a score and 1e-3
of a mask's probability, in PyTorch as in an engine, and to ten times that for slivers of boxes. Where the two are
further apart than is allowed, the network in float64 says how far the exported one is from the truth, and whether a
pixel is decided at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.exported import exported_of
from maskrcnn.config import DataConfig
from maskrcnn.errors import UserError
from maskrcnn.loading import bundled_models, load_network
from maskrcnn.masks.paste import paste_masks
from maskrcnn.masks.rle import decode_rle
from maskrcnn.model import Model
from maskrcnn.prediction import Prediction
from maskrcnn.presets import preset
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.sources import source_pixels
from maskrcnn.structures.masks import BoolArray, ByteArray
from maskrcnn.training.loop import train
from parity.golden import CASES, load_golden

EXAMPLES = Path(__file__).parents[2] / "examples" / "nuclei_mini" / "images"
KINDS = ("full", "blank", "mixed")
BOX, SCORE, IOU = 0.01, 1e-4, 0.995
"""Pixels, and the least overlap of masks."""
UNDECIDED = 2e-3
"""Pixels whose probability in float64 is no further from the threshold may be decided either way."""
MOST_JUDGED = 0.01
"""Of the objects may need float64."""


@cache
def golden(shared: Path, name: str) -> tuple[Model, ExportedModel, ByteArray]:
    """A model of another library, exported, and a photograph in which it finds something."""
    case = load_golden(shared, name)
    network = Model(case.model, case.categories, case.config, accelerate=False)
    exported = exported_of(case.model, case.config, categories=case.categories)
    return network, exported, case.tensors["image.0"].numpy()


def in_float64(model: Model) -> Model:
    """The same network, computing in float64 from the same pixels."""
    network = deepcopy(model.network).double()
    network.preprocess.float()
    network.backbone.register_forward_pre_hook(lambda _, pixels: (pixels[0].double(),))
    return Model(network, model.categories, model.config, accelerate=False)


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


def matched(found: Prediction, expected: Prediction) -> Prediction:
    """The objects of `found` in the order of `expected`: as many of each class, each with the closest box."""
    assert sorted(found.names) == sorted(expected.names)
    apart = np.abs(expected.boxes[:, None] - found.boxes[None]).max(axis=2)
    apart[expected.labels[:, None] != found.labels[None]] = np.inf
    partner = apart.argmin(axis=1) if len(expected) else np.zeros(0, int)
    assert len(set(partner.tolist())) == len(expected), "two objects for one"
    return found[partner]


def alike(found: Prediction, expected: Prediction) -> BoolArray:
    """Which objects lie within 0.01 pixels, 1e-4 of a score and an IoU of 0.995 of masks."""
    boxes = (np.abs(found.boxes - expected.boxes) <= BOX).all(axis=1)
    scores = np.abs(found.scores - expected.scores) <= SCORE
    masks = [True] * len(expected)
    if expected.has_masks:
        pairs = zip(found.rle(), expected.rle(), strict=True)
        masks = [overlap(decode_rle(one).view(bool), decode_rle(other).view(bool)) >= IOU for one, other in pairs]
    return boxes & scores & np.array(masks, bool)


def overlap(a: BoolArray, b: BoolArray) -> float:
    """IoU; 1 where both are empty."""
    return float((a & b).sum() / max((a | b).sum(), 1)) if (a | b).any() else 1.0


def require_exact(found: Prediction, exact: Prediction) -> None:
    """Boxes and scores within twice the limits of float64, and every pixel that is decided there decided alike.

    Pixels are compared in the boxes of float64: torchvision's rule of pasting cuts boxes to whole pixels, and so moves
    a mask by one where there is hardly anything between two boxes.
    """
    np.testing.assert_allclose(found.boxes, exact.boxes, atol=2 * BOX, rtol=0)
    np.testing.assert_allclose(found.scores, exact.scores, atol=2 * SCORE, rtol=0)
    if exact.mask_probs is not None and found.mask_probs is not None:
        where, rule, threshold = (exact.boxes, exact.image_size), exact.paste, exact.mask_threshold
        surely, at_most = (
            paste_masks(exact.mask_probs, *where, threshold + margin, rule) for margin in (UNDECIDED, -UNDECIDED)
        )
        masks = paste_masks(found.mask_probs, *where, threshold, rule)
        assert not (surely & ~masks).any() and not (masks & ~at_most).any()


def require_same(found: Prediction, expected: Prediction, exact: Callable[[], Prediction]) -> int:
    """Equal counts and classes, and objects alike or exact; the number of those that were compared with `exact`."""
    found = matched(found, expected)
    apart = ~alike(found, expected)
    if apart.any():
        truth = matched(exact(), expected)
        require_exact(found[apart], truth[apart])
    return int(apart.sum())


def compare(network: Model, exported: ExportedModel, picture: ByteArray, number: int) -> int:
    """The number of objects that were compared."""
    threshold, objects, judged = network.config.box_head.score_threshold, 0, 0
    exact = in_float64(network)
    for images in batches(picture, number):
        pairs = (model.stream(images, len(images), threshold) for model in (network, exported))
        for image, expected, found in zip(images, *pairs, strict=True):
            judged += require_same(found, expected, partial(exact.predict, image, threshold))
            objects += len(expected)
    print(f"{objects} objects, {judged} of them compared with float64")
    assert judged <= MOST_JUDGED * objects
    return objects


def test_a_golden_model(shared: Path) -> None:
    assert compare(*golden(shared, "tv_maskrcnn_fpn"), 2) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
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


@pytest.mark.slow
def test_a_light_model(tmp_path: Path) -> None:
    """Trained for 40 steps: with random heads hundreds of objects have a score, and rounding chooses between them."""
    base, (labels, validation) = preset("light"), [f"instances_{split}.json" for split in ("train", "val")]
    config = replace(
        base,
        data=DataConfig(root=str(EXAMPLES.parent), train_annotations=labels, val_annotations=validation, num_workers=0),
        schedule=replace(base.schedule, steps=40, warmup_steps=5),
        train=replace(base.train, batch_size=2, evaluate_every=0),
    )
    train(config, tmp_path / "run", init="efficientnet_lite0")
    network = load_network(tmp_path / "run", "cpu", accelerate=False)
    exported = exported_of(network.network, network.config, categories=network.categories)
    assert compare(network, exported, source_pixels(EXAMPLES / "fluorescence_91.png"), 20) > 20
