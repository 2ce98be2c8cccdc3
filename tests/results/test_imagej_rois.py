from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskrcnn.data.formats.writers.scene import Loss
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.prediction import Prediction
from maskrcnn.results import imagej_rois
from maskrcnn.results.imagej_rois import FARTHEST, TOO_LARGE, rois_zip, write
from results.conftest import CLASSES, MakeRun, drawn


def filled(roi: object, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre lies within an odd number of outlines."""
    outlines = roi.coordinates(multi=True)
    outlines = outlines if isinstance(outlines, list) else [outlines]
    fine = np.zeros((size[0] * 8, size[1] * 8), np.uint8)
    cv2.fillPoly(fine, [np.rint(outline * 8).astype(np.int32) for outline in outlines], 1)
    return fine[4::8, 4::8]


@pytest.mark.parametrize("kind", ["drawn", "nuclei"])
def test_roifile_reads_the_same_masks(kind: str, nuclei: Prediction, tmp_path: Path) -> None:
    roifile = pytest.importorskip("roifile")
    found = drawn(CLASSES, Path("a.png")) if kind == "drawn" else nuclei
    path = tmp_path / "rois.zip"
    path.write_bytes(rois_zip(found, Loss()))
    rois = roifile.roiread(path)
    assert len(rois) == len(found) and rois[0].name == f"0001-{found.names[0]}"
    for roi, mask in zip(rois, found.masks(), strict=True):
        assert np.array_equal(filled(roi, found.image_size), mask)
        x1, y1, x2, y2 = (roi.left, roi.top, roi.right, roi.bottom)
        assert mask[y1:y2, x1:x2].sum() == mask.sum()


def test_the_same_objects_give_the_same_bytes_and_names_are_plain() -> None:
    found = drawn(CLASSES, Path("a.png"))
    assert rois_zip(found, Loss()) == rois_zip(found, Loss())
    with zipfile.ZipFile(io.BytesIO(rois_zip(found, Loss()))) as archive:
        assert archive.namelist()[:2] == ["0001-round.roi", "0002-long___thin_.roi"]
    boxes = rois_zip(drawn(CLASSES, Path("a.png"), masks=False), Loss())
    assert len(zipfile.ZipFile(io.BytesIO(boxes)).namelist()) == 5


@pytest.mark.parametrize("masks", [True, False])
def test_objects_beyond_sixteen_bits_are_left_out_and_counted(masks: bool) -> None:
    """Of two single pixels the second ends one column beyond the last that the format has."""
    size = (2, FARTHEST + 1)
    packed = PackedRLE.from_rles([encode_rle(np.arange(2 * size[1]).reshape(size) == x - 1) for x in size], size)
    boxes = np.array([[FARTHEST - 1, 0, FARTHEST, 1], [FARTHEST, 0, FARTHEST + 1, 1]], np.float32)
    found = drawn(CLASSES, Path("a.png"), masks=False)[:2]
    found = replace(found, image_size=size, boxes=boxes, given_masks=packed if masks else None)
    loss = Loss()
    archive = zipfile.ZipFile(io.BytesIO(rois_zip(found, loss)))
    assert len(archive.namelist()) == 1 and loss == {TOO_LARGE: 1}


def test_an_outline_of_too_many_points_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disc has more than 40; so has the ring, but the format counts outlines with holes in 32 bits."""
    monkeypatch.setattr(imagej_rois, "MOST", 40)
    loss, found = Loss(), drawn(CLASSES, Path("a.png"))
    points = [len(parts[0][0]) for parts in found.polygons()]
    names = zipfile.ZipFile(io.BytesIO(rois_zip(found, loss))).namelist()
    assert points[0] > 40 and points[2] > 40 and loss == {TOO_LARGE: 1}
    assert [int(name[:4]) for name in names] == [2, 3, 4, 5]


def test_images_without_objects_have_no_archive(make_run: MakeRun, tmp_path: Path) -> None:
    write(make_run(CLASSES), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.zip"]
