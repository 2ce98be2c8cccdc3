"""The command line: files, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.compare import __main__ as compare
from benchmarks.compare import duel
from benchmarks.compare.ours import Ours
from benchmarks.compare.protocol import WorkerError
from benchmarks.compare.scenarios import Scenario, Sweep

from benchmarks.local_worker import TINY, LocalWorker

pytestmark = pytest.mark.usefixtures("no_matrix_product", "narrow")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHVISION_PYTHON", raising=False)
    monkeypatch.setattr(duel, "start", lambda contender, settings: LocalWorker(contender.name, Ours()))


def test_scenarios_to_files(
    in_this_process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "SCENARIOS", (TINY,))
    monkeypatch.setattr(compare, "NAMES", ("tiny",))
    assert compare.main(["--only", "tiny", "--pairs", "1", "--threads", "1", "--output", str(tmp_path / "new")]) == 0
    captured = capsys.readouterr()
    assert "torchvision: not measured, ours alone" in captured.err and "## tiny" in captured.out
    run = json.loads((tmp_path / "new" / "compare.json").read_text())
    assert run["machine"]["processor"] and run["commit"] and run["settings"]["pairs"] == 1 and run["failures"] == []
    assert (tmp_path / "new" / "compare.md").read_text() in captured.out


def test_a_failure_is_told_and_does_not_end_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def measure_scenario(scenario: Scenario, *_: object) -> Any:
        asked.append(scenario.name)
        raise WorkerError(f"ours: {scenario.name} broke")

    monkeypatch.setattr(compare, "measure_scenario", measure_scenario)
    assert compare.main(["--only", "fpn-100,c4-300", "--output", str(tmp_path)]) == 1
    assert asked == ["fpn-100", "c4-300"] and "error: ours: c4-300 broke" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_curves_to_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With stand-ins for the measurement: which points make which line."""
    sweep = Sweep("images", ((1.0, Scenario("images=1")), (2.0, Scenario("images=2", images=2))))

    def measure_scenario(scenario: Scenario, rivals: list[duel.Contender], *_: object) -> Any:
        if scenario.images == 2 and len(rivals) > 2:
            raise WorkerError("out of memory")
        rows = [{"name": rival.name, "seconds": [0.5 * scenario.images] * 3} for rival in rivals]
        return {"scenario": {"name": scenario.name}, "machine": {"processor": "CPU 9"}, "contenders": rows}

    monkeypatch.setattr(compare, "measure_scenario", measure_scenario)
    settings = duel.Settings(3, 1, "cpu")
    compare.measure_curves([sweep], duel.contenders(None), settings, tmp_path)
    run = json.loads((tmp_path / "curves.json").read_text())
    assert run["curves"] == {"images": {"ours": [[1.0, 0.5], [2.0, 1.0]]}}
    assert (tmp_path / "curves.svg").read_text().startswith("<svg")
    compare.measure_curves([sweep], duel.contenders(Path("python")), settings, tmp_path)
    run = json.loads((tmp_path / "curves.json").read_text())
    assert run["curves"]["images"]["torchvision"] == [[1.0, 0.5]], "the point that failed is left out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--torchvision-python", "absent"], "--torchvision-python absent: expected the Python of an environment"),
        (["--only", "fpn-100,nothing"], "expected some of fpn-100, "),
        (["--pairs", "0"], "expected a whole number of at least 1, got '0'"),
        (["everything"], "invalid choice: 'everything'"),
    ],
)
def test_mistakes(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        compare.main([*arguments, "--output", str(tmp_path)])
    assert message in str(left.value.code) + capsys.readouterr().err and not list(tmp_path.iterdir())
