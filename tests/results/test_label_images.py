"""Label images too large for a PNG."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskrcnn.data.formats.writers.masks import COVERED, OVERLAP
from maskrcnn.errors import UserError
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.results import label_images
from maskrcnn.results.finished import Finished
from maskrcnn.results.outlined import EMPTY
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
    assert loss[OVERLAP] == int((shared - 1).clip(0).sum()) > 0
    assert (tmp_path / "masks" / ("b.tif" if limit == "MAX_PIXELS" else "b.png")).is_file(), "also without objects"


@pytest.mark.parametrize("limit", [50_000_000, 4])
def test_objects_that_have_no_pixel_left_are_counted(
    limit: int, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five in two rows of tiles the second and the fourth lie in the first, the third is empty."""
    pytest.importorskip("tifffile")
    monkeypatch.setattr(label_images, "MAX_PIXELS", limit)
    monkeypatch.setattr(label_images, "TILE", 32)
    masks = np.zeros((5, 60, 80), bool)
    masks[0, 20:50, 20:50] = True
    masks[1, 25:40, 25:40] = masks[3, 20:50, 20:50] = True
    masks[4, 59] = True
    packed = PackedRLE.from_rles(map(encode_rle, masks), (60, 80))
    loss = label_images.write(make_run(CLASSES, found=replace(drawn(CLASSES, Path("a")), given_masks=packed)), tmp_path)
    assert loss == {label_images.CLASSES: 2, COVERED: 2, OVERLAP: 225 + 900, EMPTY: 1}


def test_without_tifffile_it_is_one_line(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_images, "MAX_PIXELS", 4)
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    finished: Finished = make_run(CLASSES)
    with pytest.raises(UserError, match="pip install tifffile"):
        label_images.write(finished, tmp_path)
