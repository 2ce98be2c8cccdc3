"""Whole scenarios at a tiny size: ours against itself, so that what is found is known to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.compare import duel
from benchmarks.compare.duel import Contender, Settings, contenders, measure_scenario
from benchmarks.compare.ours import Ours
from benchmarks.compare.protocol import WorkerError
from benchmarks.compare.report import ratios, report

from benchmarks.local_worker import TINY, LocalWorker
from maskrcnn import process

pytestmark = pytest.mark.usefixtures("no_matrix_product", "narrow")


SETTINGS = Settings(pairs=2, threads=1, device="cpu")
RIVALS = (Contender("ours"), Contender("again"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Who was asked what; workers live in this process."""
    asked: list[tuple[str, str]] = []

    class Listening(LocalWorker):
        def call(self, name: str, **arguments: Any) -> Any:
            asked.append((self.name, name))
            return super().call(name, **arguments)

    monkeypatch.setattr(duel, "start", lambda contender, settings: Listening(contender.name, Ours()))
    return asked


def test_prediction(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    result = measure_scenario(TINY, RIVALS, SETTINGS, tmp_path)
    assert result["agreement"] == "5 of 5 objects alike, their boxes within 0.0000 px, mean mask IoU 1.0000"
    assert result["arithmetic"]["detections"] == 5 and result["arithmetic"]["proposals"] == 30
    assert result["arithmetic"]["inputs"] == [[1, 3, 64, 96]]
    compared = calls.index(("again", "answer"))
    runs = [(number, who) for number, (who, what) in enumerate(calls) if what == "run"]
    assert [who for _, who in runs] == ["ours", "again"] * 3, "warmed up, then turn by turn"
    assert runs[0][0] > compared, "what is found is compared before anything is timed"
    assert all(len(row["seconds"]) == 2 and "backbone" in row["stages"] for row in result["contenders"])
    assert len(ratios(result, "again")) == 2 and ratios(result, "ours") == [1.0, 1.0]


def test_a_training_step(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    step = replace(TINY, name="step", kind="train", images=2, batch_size=2, objects=3)
    result = measure_scenario(step, RIVALS[:1], SETTINGS, tmp_path)
    assert result["agreement"] is None and result["arithmetic"] is None
    assert result["contenders"][0]["stages"] == {} and all(s > 0 for s in result["contenders"][0]["seconds"])


def test_a_preset_of_ours_is_another_network(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    """What torchvision has is compared with its counterpart, and then ours takes the preset's place."""
    light = replace(TINY, preset="light", from_files=True)
    result = measure_scenario(light, RIVALS[:1], replace(SETTINGS, pairs=1), tmp_path)
    assert result["arithmetic"]["detections"] == 5 and result["arithmetic"]["flop"]["backbone"] > 0
    asked = [what for _, what in calls]
    assert asked.index("run") > asked.index("arithmetic") and asked.count("calibrate") == 2
    title = "Prediction, ours the preset light with its own proposals, torchvision R18-FPN, 1 image(s) of 64 x 96, from"
    assert light.title.startswith(title) and (tmp_path / "inputs.pt-0.jpg").is_file()


def test_c4_is_ours_alone(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    c4 = replace(TINY, features="c4", alone=True)
    result = measure_scenario(c4, RIVALS, replace(SETTINGS, pairs=1), tmp_path)
    assert [row["name"] for row in result["contenders"]] == ["ours"]
    assert "shared RoI layers" in result["arithmetic"]["flop"]


def test_what_differs_is_not_timed(
    calls: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Ours.answer

    def answer(self: Ours, path: str) -> None:
        self.threshold = float(path.endswith("-1.pt"))  # the second side finds nothing
        made(self, path)

    monkeypatch.setattr(Ours, "answer", answer)
    with pytest.raises(WorkerError, match=r"ours and again do not find the same: 0 of .* alike.*nothing was timed"):
        measure_scenario(TINY, RIVALS, SETTINGS, tmp_path)
    assert ("ours", "run") not in calls


def test_too_few_detections(calls: list[tuple[str, str]], tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="many: expected 5000 detections, got "):
        measure_scenario(replace(TINY, name="many", detections=5000), RIVALS[:1], SETTINGS, tmp_path)


def test_who_takes_part() -> None:
    assert [rival.name for rival in contenders(None)] == ["ours"]
    ours, installed, tuned = contenders(Path("/env/bin/python"))
    assert (ours.engine, installed.engine, tuned.engine) == ("ours", "torchvision", "torchvision")
    assert installed.environment == {} and installed.options == ()
    assert tuned.environment == process.SETTINGS and tuned.options == ("--channels-last",)


def row(name: str, seconds: Sequence[float], stages: dict[str, float], peak: int) -> dict[str, Any]:
    memory = {"import": 100 * 2**20, "loaded": 200 * 2**20, "peak": peak * 2**20}
    return {"name": name, "seconds": seconds, "memory": memory, "stages": stages, "versions": {"torch": "2.13"}}


def test_the_report_by_hand() -> None:
    """The ratio is the median of 2/1, 9/2 and 3/1, not the ratio of the medians."""
    result = {
        "scenario": {"name": "s", "image_size": [800, 1216]},
        "agreement": "all alike",
        "arithmetic": {"flop": {"backbone": 50e9}},
        "machine": {"matrix_peak": 100e9},
        "contenders": [
            row("ours", [1.0, 2.0, 1.0], {"backbone": 0.8, "paste": 0.1}, 400),
            row("torchvision", [2.0, 9.0, 3.0], {"backbone": 1.6, "rest": 0.2}, 700),
        ],
    }
    machine = {
        "processor": "CPU 9",
        "instructions": "AVX2",
        "matrix_peak": 100e9,
        "maskrcnn": "1.2",
        "torch": "2.13",
        "python": "3.12",
    }
    text = report(
        {
            "machine": machine,
            "commit": "abc-dirty",
            "date": "2026-01-02",
            "settings": {"pairs": 3, "threads": 2},
            "results": [result],
            "failures": ["x: broke"],
        }
    )
    assert "CPU 9 (AVX2), 2 thread(s); matrix product 100 GFLOP/s" in text and "at commit abc-dirty" in text
    assert "## s\n" in text and "Compared first: all alike." in text and text.endswith("Not measured: x: broke\n")
    for line in (
        "| ours | 1000 | 1.00 | 1.00 | 300 | 1.00 |",
        "| torchvision | 3000 | 0.33 | 3.00 | 600 | 2.00 |",
        "| stage | ours, ms | torchvision, ms | GFLOP | GFLOP/s of ours | of peak |",
        "| backbone | 800.0 | 1600.0 | 50.00 | 62.5 | 62 % |",
        "| paste | 100.0 | – | – | – | – |",
        "| rest | – | 200.0 | – | – | – |",
        "| whole | 1000.0 | 3000.0 | 50.00 | 50.0 | 50 % |",
    ):
        assert line in text.splitlines(), line
