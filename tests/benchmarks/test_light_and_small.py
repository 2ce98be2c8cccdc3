"""Two networks on the same photographs: what differs, and the table by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.ablations import light_and_small

from maskrcnn.settings import differing_settings


def test_the_networks_alone_differ() -> None:
    light, small = (light_and_small.settings(name, Path("data"), 30, 1) for name in ("light", "small"))
    differing = differing_settings(light, small)
    rooms = {name.split(".")[0] for name in differing}
    assert rooms == {"input", "backbone", "resnet", "rpn", "optimizer"}
    assert light.input.min_size == small.input.min_size == 384 and small.backbone.name == "resnet18"
    assert light.schedule == small.schedule and light.schedule.steps == 30 and light.train.seed == 1


def test_the_table_by_hand() -> None:
    small = [{"mask AP": 0.1, "processor seconds": 60.0, "car": 0.2, "bus": 0.0}]
    light = [small[0] | {"mask AP": 0.2}, small[0] | {"mask AP": 0.22, "car": 0.3, "processor seconds": 120.0}]
    assert light_and_small.table({"small": small, "light": light}).splitlines() == [
        "| mask AP | small | light |",
        "|---|---|---|",
        "| seeds | 1 | 2 |",
        "| all classes | 10.0 | 21.0 ± 1.4 |",
        "| bus | 0.0 | 0.0 ± 0.0 |",
        "| car | 20.0 | 25.0 ± 7.1 |",
        "| minutes of a core | 1.0 | 1.5 ± 0.7 |",
    ]
    assert "light" not in light_and_small.table({"small": small, "light": []})


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []

    def measured(run: Path, config: object) -> dict[str, float]:
        trained.append(run.name)
        return {"mask AP": 0.1, "processor seconds": 1.0}

    monkeypatch.setattr(light_and_small, "measured", measured)
    arguments = ["--data", str(tmp_path), "--output", str(tmp_path / "out"), "--steps", "30", "--seeds", "0,1"]
    light_and_small.main([*arguments, "--networks", "light"])
    light_and_small.main(arguments)
    assert trained == ["light-30-0", "light-30-1", "small-30-0", "small-30-1"]
