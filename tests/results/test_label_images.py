"""Label images too large for a PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.results import label_images
from maskrcnn.results.finished import Finished
from results.conftest import CLASSES, MakeRun, drawn


@pytest.mark.parametrize("limit", ["MAX_PIXELS", "MOST"])
def test_a_tiff_holds_the_same_numbers(
    limit: str, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiles of 32 pixels, so that 60 x 80 are two rows of three, the last of each cut off."""
    tifffile = pytest.importorskip("tifffile")
    monkeypatch.setattr(label_images, limit, 4)
    monkeypatch.setattr(label_images, "TILE", 32)
    loss = label_images.write(make_run(CLASSES), tmp_path)
    with tifffile.TiffFile(tmp_path / "masks" / "a.tif") as file:
        page = file.pages[0]
        assert file.is_bigtiff and page.is_tiled and page.dtype == np.uint32 and len(page.dataoffsets) == 6
        assert np.array_equal(page.asarray(), drawn(CLASSES, Path("a.png")).label_image())
    shared = drawn(CLASSES, Path("a.png")).masks().sum(axis=0)
    assert loss[label_images.OVERLAP] == int((shared - 1).clip(0).sum()) > 0
    assert (tmp_path / "masks" / ("b.tif" if limit == "MAX_PIXELS" else "b.png")).is_file(), "also without objects"


def test_without_tifffile_it_is_one_line(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_images, "MAX_PIXELS", 4)
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    finished: Finished = make_run(CLASSES)
    with pytest.raises(UserError, match="pip install tifffile"):
        label_images.write(finished, tmp_path)
