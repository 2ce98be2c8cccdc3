from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from benchmarks import convolutions


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_ours_computes_the_part_and_every_runtime_has_a_row(
    precision: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a stand-in for a runtime, which computes the plain network twice as large: the table says so."""
    part = convolutions.build()

    def runtime(file: str, precision: torch.dtype) -> convolutions.Run:
        plain = copy.deepcopy(part)
        return lambda pixels: [2 * result.numpy() for result in plain(pixels)]

    runtimes = {"stand-in": ("json", runtime, {precision}), "another": ("json", runtime, {torch.float16})}
    monkeypatch.setattr(convolutions, "RUNTIMES", runtimes)
    monkeypatch.setattr(torch.onnx, "export", lambda *arguments, **options: None)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for expected, actual in zip(part(pixels), convolutions.ours(part, precision)(pixels), strict=True):
            assert np.abs(actual - expected.numpy()).max() < tolerance * float(expected.abs().max())
        convolutions.measure(part, (64, 64), 1, precision)
    rows = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert float(rows["ours"][-1]) == 0.0
    assert float(rows["stand-in"][-1]) == pytest.approx(1.0, abs=max(0.01, 2 * tolerance))
    assert "another" not in rows
