from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from benchmarks.compare.scenarios import SCENARIOS, SWEEPS, Scenario, Sweep


def test_a_scenario_survives_the_pipe() -> None:
    for scenario in SCENARIOS:
        assert Scenario.from_json(json.loads(json.dumps(asdict(scenario)))) == scenario


def test_what_has_to_be_shown_is_there() -> None:
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    assert len(by_name) == len(SCENARIOS)
    full = by_name["fpn-100"]
    assert (full.image_size, full.proposals, full.detections) == ((800, 1216), 1000, 100)
    assert by_name["fpn-10"] == replace(full, name="fpn-10", detections=10)
    assert by_name["c4-300"].features == "c4" and by_name["c4-300"].proposals == 300 and by_name["c4-300"].alone
    step = by_name["train-512"]
    assert (step.kind, step.image_size, step.images, step.batch_size, step.objects) == ("train", (512, 512), 2, 2, 8)
    assert by_name["12mp-1000"].detections == 1000 and by_name["12mp-1000"].image_size == (3000, 4000)


def test_no_image_of_a_scenario_is_resized_but_the_largest() -> None:
    for scenario in (*SCENARIOS, *(point for sweep in SWEEPS for _, point in sweep.points)):
        if not scenario.name.startswith("12mp"):
            assert min(scenario.image_size) == scenario.short_side and max(scenario.image_size) <= scenario.long_side


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.name)
def test_one_quantity_grows_and_the_rest_stays(sweep: Sweep) -> None:
    values = [value for value, _ in sweep.points]
    assert values == sorted(set(values)) and len(values) >= 4
    plain = [asdict(scenario) for _, scenario in sweep.points]
    differing = {field for field in plain[0] if len({str(point[field]) for point in plain}) > 1} - {"name"}
    expected = {"megapixels": {"image_size", "short_side", "long_side"}, "images at a time, of 8": {"batch_size"}}
    assert differing == expected.get(sweep.name, {sweep.name})


def test_titles() -> None:
    assert SCENARIOS[0].title == (
        "Prediction, R50-FPN, 1 image(s) of 800 x 1216, 1 at a time, short side 800, "
        "1000 proposals, 100 detections, 80 classes"
    )
    step = next(scenario for scenario in SCENARIOS if scenario.kind == "train")
    assert step.title == "Training step, R50-FPN, 2 images of 512 x 512, 8 objects each"
