from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export.exported import network_of, small
from maskrcnn.errors import UserError
from maskrcnn.export import program
from maskrcnn.export.program import write_program


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_the_dense_part_for_any_size(tmp_path: Path) -> None:
    config, lines = small(), list[str]()
    network = network_of(config)
    write_program(network, config, tmp_path / "dense.pt2", lines.append)
    assert "largest difference" in lines[0]
    found = torch.export.load(tmp_path / "dense.pt2").module()(torch.ones(1, 3, 96, 96))
    with torch.no_grad():
        expected = network.backbone(torch.ones(1, 3, 96, 96))
    for mine, theirs in zip(found[: len(expected)], expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_what_cannot_be_followed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("data-dependent\nguard")

    monkeypatch.setattr(program.torch.export, "export", fail)
    config = small()
    with pytest.raises(UserError, match=r"torch\.export cannot follow this network: data-dependent guard"):
        write_program(network_of(config), config, tmp_path / "dense.pt2")
    assert list(tmp_path.iterdir()) == []
