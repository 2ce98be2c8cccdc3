from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.int8 import HEIGHT, WIDTH, exported, gains, has_vnni

from benchmarks import int8
from export.exported import POSED, network_of, noise, small
from maskrcnn.export.recording import plain_copy
from maskrcnn.export.writing import recorded
from maskrcnn.runtime import engines
from maskrcnn.runtime.preprocess import Preprocess


def test_each_engine_computes_both(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small()
    network, images = network_of(config, spread=10), [noise(64, 96)]
    opened: list[tuple[str, int, int]] = []

    def open_and_note(where: str, name: str, content: bytes, outputs: tuple[str, ...], threads: int) -> engines.Engine:
        opened.append((f"{name} {where}", len(content), threads))
        return engines.open_engine(where, name, content, outputs, threads)

    monkeypatch.setattr(int8, "open_engine", open_and_note)
    taken = gains(*recorded(plain_copy(network), config, POSED, "small"), images, 1, 1)
    assert all(0 < seconds < float("inf") for both in taken.values() for seconds in both)
    assert [name for name, _, _ in opened] == [f"{engine} {form}" for engine in taken for form in ("float32", "int8")]
    assert all(threads == 1 for _, _, threads in opened) and opened[1][1] < opened[0][1]


def test_the_network_reads_every_pixel() -> None:
    """`facades` by itself would shrink 512 x 768 pixels to 384 x 576."""
    content, contract = exported("facades")
    prepared = Preprocess(contract.config.input).prepare([noise(HEIGHT, WIDTH)])
    assert content and prepared.pixels.shape == (1, 3, HEIGHT, WIDTH)


@pytest.mark.parametrize("flags", ["avx2 avx512_vnni", "avx2 avx_vnni fma"])
def test_where_8_bits_must_be_faster(
    flags: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With VNNI alone, and by the better engine."""
    monkeypatch.setattr(int8, "exported", lambda name: (b"", None))
    monkeypatch.setattr("sys.argv", ["int8"])
    monkeypatch.setattr(int8, "gains", lambda *arguments: {"a": (3.0, 2.1), "b": (2.0, 2.0)})
    monkeypatch.setattr(Path, "read_text", lambda *arguments: "flags : avx2 fma avx512_vnniw")
    assert not has_vnni()
    int8.main()
    assert "1.43 times as fast" in capsys.readouterr().out
    monkeypatch.setattr(Path, "read_text", lambda *arguments: f"flags : {flags}")
    assert has_vnni()
    with pytest.raises(SystemExit, match=r"at least 1\.5 times as fast with VNNI, got 1\.43"):
        int8.main()
    monkeypatch.setattr(int8, "gains", lambda *arguments: {"a": (3.0, 2.0), "b": (2.0, 2.0)})
    int8.main()
