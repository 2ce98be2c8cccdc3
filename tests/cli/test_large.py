from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

NUCLEI = Path(__file__).parents[2] / "examples" / "nuclei_mini" / "images"

Run = Callable[..., tuple[int, str, str]]


def test_predict_says_it(run: Run, model_file: Path, tmp_path: Path) -> None:
    Image.new("L", (2200, 30)).save(tmp_path / "x.png")  # the tiny model sees 512 pixels
    code, out, err = run("predict", tmp_path / "x.png", "--model", model_file, "--output", tmp_path / "out")
    assert code == 0 and "warning" not in out
    assert "warning: 1 image was made much smaller" in err and "4.3 times (2200 x 30" in err


def test_a_model_that_saw_images_at_their_size_gets_large_ones_in_tiles(run: Run, tmp_path: Path) -> None:
    """The bundled model sees up to 1600 pixels a side as they are; blank tiles cost nothing."""
    cells = np.asarray(Image.open(NUCLEI / "fluorescence_377.png").convert("RGB"))
    wide = np.zeros((256, 2300, 3), np.uint8)
    wide[:, :256] = wide[:, 1984:2240] = cells
    Image.fromarray(wide).save(tmp_path / "wide.png")
    found = {}
    for tile in ("auto", "none"):
        code, _, err = run("predict", tmp_path / "wide.png", "--output", tmp_path / tile, "--tile", tile)
        assert code == 0 and err == ""
        found[tile] = json.loads((tmp_path / tile / "predictions.json").read_text())
        assert (tmp_path / tile / "wide.png").exists()
    left, right = ([r for r in found["auto"] if (r["bbox"][0] > 1100) is side] for side in (False, True))
    assert abs(len(left) - len(right)) <= 2, "but for what touches the edge of the image on one side only"
    assert len(left) > 25
    code, _, err = run("predict", tmp_path / "wide.png", "--output", tmp_path / "auto", "--tile", "none", "--resume")
    assert code == 2 and "tiles 'auto', now 'none'" in err
