from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from benchmarks import convolutions


def test_ours_computes_the_part_and_every_runtime_has_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a stand-in for a runtime, which computes the plain network twice as large: the table says so."""
    part = convolutions.build()

    def runtime(file: str) -> convolutions.Run:
        plain = copy.deepcopy(part)
        return lambda pixels: [2 * result.numpy() for result in plain(pixels)]

    monkeypatch.setattr(convolutions, "RUNTIMES", {"stand-in": ("json", runtime)})
    monkeypatch.setattr(torch.onnx, "export", lambda *arguments, **options: None)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for expected, actual in zip(part(pixels), convolutions.ours(part)(pixels), strict=True):
            assert np.abs(actual - expected.numpy()).max() < 1e-4 * float(expected.abs().max())
        convolutions.measure(part, (64, 64), 1)
    rows = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert float(rows["ours"][-1]) == 0.0
    assert float(rows["stand-in"][-1]) == pytest.approx(1.0, abs=0.01)
