from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.pages import has_several_pages

PICTURES = [Image.fromarray(np.full((24, 30, 3), value, np.uint8)) for value in (10, 120, 230)]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("TIFF", {}), ("TIFF", {"big_tiff": True}), ("TIFF", {"compression": "tiff_lzw"}), ("PNG", {}), ("WEBP", {})],
)
def test_pages_and_frames(tmp_path: Path, kind: str, options: dict[str, Any], number: int) -> None:
    first, *others = PICTURES[:number]
    path = tmp_path / "x.dat"
    more: dict[str, Any] = {"save_all": True, "append_images": others} if others else {}
    first.save(path, kind, **more, **options)
    assert has_several_pages(path) is (number > 1)


@pytest.mark.parametrize(
    ("size", "kind", "counts"),
    [
        ((24, 30), 0, True),
        ((20, 30), 0, True),  # a scanned page of another length
        ((12, 15), 0, False),  # a preview, or a level of a pyramid, that does not say so
        ((24, 30), 1, False),  # one that does
        ((24, 30), 4, False),  # a mask
        ((24, 30), 2, True),  # a page that says so
    ],
)
def test_previews_levels_and_masks_are_no_pages(tmp_path: Path, size: tuple[int, int], kind: int, counts: bool) -> None:
    tifffile = pytest.importorskip("tifffile")
    for byteorder, big in (("<", False), (">", True)):
        with tifffile.TiffWriter(tmp_path / "x.tif", byteorder=byteorder, bigtiff=big) as file:
            file.write(np.zeros((24, 30), np.uint8))
            file.write(np.zeros((12, 15), np.uint8), subfiletype=1)
            is_mask = kind == 4
            values, photometric = np.zeros(size, bool if is_mask else np.uint8), "mask" if is_mask else "minisblack"
            file.write(values, subfiletype=kind, photometric=photometric)
        assert has_several_pages(tmp_path / "x.tif") is counts


def test_the_stack_of_imagej(tmp_path: Path) -> None:
    pytest.importorskip("tifffile").imwrite(tmp_path / "x.tif", np.zeros((5, 24, 30), np.uint16), imagej=True)
    assert has_several_pages(tmp_path / "x.tif")


def test_files_that_do_not_tell(tmp_path: Path) -> None:
    """Broken ones, and a TIFF whose directories go in a circle."""
    circle = b"II*\0" + struct.pack("<LHHHLLHHLLL", 8, 2, 256, 4, 1, 30, 257, 4, 1, 24, 8)
    empty = b"II*\0" + struct.pack("<LHL", 8, 0, 0)
    starts = (b"", b"II*\0", b"II*\0\0\0\0\0", b"\x89PNG\r\n\x1a\n", b"RIFF\4\0\0\0WEBP", b"II*\0\xff\xff\0\0")
    far = b"II+\0\x08\0\0\0" + b"\xff" * 8
    for content in (*starts, circle, empty, far, b"\xff\xd8\xff"):
        (tmp_path / "x").write_bytes(content)
        assert not has_several_pages(tmp_path / "x"), content
    assert not has_several_pages(tmp_path / "missing")
