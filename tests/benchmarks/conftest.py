"""What the tests of the comparison share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maskrcnn.benchmark import machine
from maskrcnn.config import Config
from maskrcnn.presets import preset


@pytest.fixture
def no_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's peak is measured with a matrix too small to take a second."""
    monkeypatch.setitem(machine._MATRIX_SIDE, "cpu", 64)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own random models have few channels, and cost nothing."""

    def narrow_preset(name: str) -> Config:
        config = preset(name)
        return replace(
            config,
            resnet=replace(config.resnet, stem_channels=16) if "resnet" in config.backbone.name else config.resnet,
            fpn=replace(config.fpn, channels=32),
            box_head=replace(config.box_head, fc_channels=64),
            mask_head=replace(config.mask_head, channels=32),
        )

    monkeypatch.setattr("benchmarks.compare.ours.preset", narrow_preset)
