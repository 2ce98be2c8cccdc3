from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.results.crops import MARGIN, write
from results.conftest import CLASSES, MakeRun, shapes


def test_a_file_per_object(make_run: MakeRun, tmp_path: Path) -> None:
    assert not write(make_run(CLASSES), tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / "a").iterdir())
    assert names[:2] == ["0001_round.png", "0002_long___thin_.png"] and len(names) == 5
    pixels = np.array(Image.open(tmp_path / "out" / "a" / "0001_round.png"))
    mask = shapes()[0]
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert pixels.shape == (len(ys) + ys[0] + MARGIN, len(xs) + xs[0] + MARGIN, 4), "cut at the border"
    assert (pixels[..., 3] > 0).sum() == mask.sum() and (pixels[..., :3] == 90).all()
