"""The keypoint branch on the page: its maps and points are those of the prediction."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from math import log

import pytest
import torch
from torch import Tensor

from inspection.conftest import KEYPOINTS, POINTS
from maskrcnn.inspection import Trace, keypoint_step, maps, trace_image
from maskrcnn.inspection.page import all_steps, render_page
from maskrcnn.inspection.region import KeypointMaps
from maskrcnn.inspection.step import Step
from maskrcnn.model import Model
from maskrcnn.structures import Categories
from maskrcnn.structures.masks import ByteArray

MakeModel = Callable[..., Model]


@pytest.fixture
def posed(make_model: MakeModel, image: ByteArray) -> Trace:
    """Object 2 of a model with keypoints and without masks."""
    model = make_model(keypoint_head=KEYPOINTS, mask_head={"enabled": False})
    return trace_image(model, image, number=2, score_threshold=0.1)


def step(trace: Trace) -> Step:
    (found,) = (step for step in all_steps(trace) if step.name == "keypoints")
    return found


def test_points_are_those_of_the_object(posed: Trace) -> None:
    region, found = posed.region, posed.prediction.keypoints
    assert region is not None and region.keypoints is not None and found is not None
    assert region.keypoints.logits.shape == (14, 56, 56) and region.keypoints.points.shape == (14, 3)
    scale = torch.tensor([170 / 120, 128 / 90, 1])
    torch.testing.assert_close(region.keypoints.points, torch.from_numpy(found[1]) * scale, atol=1e-2, rtol=1e-3)


def test_maps_and_positions_are_shown(posed: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoint_step, "MAX_MAPS", 12)
    region, shown = posed.region, step(posed)
    assert region is not None and region.keypoints is not None
    x, y, score = region.keypoints.points[3].tolist()
    assert f"<span>point &lt;3&gt;</span><b>{x:.1f}, {y:.1f} &nbsp; {score:.2f}</b>" in shown.body
    assert shown.body.count('alt="heat map: ') == 12 and "2 maps of less sure keypoints not shown." in shown.body
    surest = int(region.keypoints.points[:, 2].argmax())
    first = re.search(r'alt="heat map: point &lt;(\d+)&gt;"', shown.body)
    assert first is not None and int(first[1]) == surest
    assert shown.brief == "14 × 56 × 56" and "all 3,136 cells" in shown.text and "probability at the peak" in shown.text
    dots = re.findall(r'<path class="dot follow" d="([^"]*)"', shown.body)
    assert [path.count("M") for path in dots] == [1, 14]
    (lines,) = re.findall(r'<path class="box strong follow" d="([^"]*)"', shown.body)
    ends = [f"{value:.1f}" for value in region.keypoints.points[[0, 1], :2].flatten().tolist()]
    assert lines.startswith("M{} {}L{} {}M".format(*ends)) and lines.count("M") == len(POINTS.skeleton)


def test_a_cell_of_little_probability_is_black_and_the_peak_is_bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a scale of factors: halfway down in brightness is the square root of the darkest."""
    seen: list[Tensor] = []
    monkeypatch.setattr(maps, "inline_palette_png", lambda levels, _: seen.append(torch.from_numpy(levels)) or "")
    logits = torch.tensor([[[0.0, log(1e-4)], [log(1e-2), -50.0]]]) + 7.0  # a constant means nothing to a softmax
    keypoint_step._picture(KeypointMaps(logits, torch.zeros(1, 3)), 0)
    assert seen[0].tolist() == [[255, 0], [128, 0]]


def test_the_page_with_keypoints(posed: Trace) -> None:
    html = render_page(posed, "x")
    assert "Object 2 is followed from its proposal to its keypoints." in html
    assert "it finds keypoints instead" in html and "gives boxes and keypoints" in html
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r'base64,[^"]*', "", html))


def test_models_and_classes_without_keypoints(trace: Trace, posed: Trace) -> None:
    assert "keypoints" not in [step.name for step in all_steps(trace)]
    assert trace.region is not None and trace.region.keypoints is None
    categories, region = posed.model.categories, posed.region
    assert region is not None
    schemas = tuple(None if label == region.label else POINTS for label in range(3))
    others = Categories(categories.ids, categories.names, schemas)
    model = Model(posed.model.network, others, posed.model.config)
    bare = step(replace(posed, model=model))
    assert bare.text == f"The class class &lt;{region.label}&gt; has no keypoints." and bare.body == ""
