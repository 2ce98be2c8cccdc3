"""ImageJ's regions of interest: a zip archive per image for its ROI Manager, a region per object.

The file of a region (https://imagej.net/ij/developer/source/ij/io/RoiDecoder.java.html) has 64 bytes of header, the
coordinates, and a second header with the name; numbers are big-endian. A single outline is a polygon with subpixel
coordinates, several outlines or holes are a composite of path segments.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskrcnn.data.formats.writers.scene import Loss
from maskrcnn.detected import DetectedObject
from maskrcnn.files import write_atomically
from maskrcnn.prediction import Prediction
from maskrcnn.results.file_names import plain_name
from maskrcnn.results.outlined import outlined
from maskrcnn.structures.masks import FloatArray

if TYPE_CHECKING:
    from maskrcnn.results.finished import Finished

VERSION = 227
POLYGON, RECTANGLE = 0, 1
SUBPIXEL = 128
MOVE, LINE, CLOSE = 0.0, 1.0, 4.0
HEADER = 64

FARTHEST, MOST = 32_767, 65_535
"""The coordinate, and the points of a single outline, up to which its 16 bits go."""

TOO_LARGE = f"objects reach beyond pixel {FARTHEST} or have more than {MOST} points, all that ImageJ has room for"

_FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The same objects give the same bytes."""


def write(finished: Finished, folder: Path) -> Loss:
    """`X.zip` for each image X; ImageJ needs at least one region in it, so images without objects get none."""
    loss = Loss()
    for image in finished:
        if content := rois_zip(image.prediction, loss):
            write_atomically(folder / f"{image.stem}.zip", content)
    return loss


def rois_zip(prediction: Prediction, loss: Loss) -> bytes:
    """The archive of one image; nothing where none of its objects can be a region. Those that cannot are counted."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, found in outlined([prediction], loss):
            name, rings = f"{number:04d}-{plain_name(found.name)}", _rings(found)
            if max(map(np.max, rings)) > FARTHEST or (len(rings) == 1 and len(rings[0]) > MOST):
                loss[TOO_LARGE] += 1
            else:
                archive.writestr(zipfile.ZipInfo(f"{name}.roi", _FIXED_DATE), roi_bytes(rings, name))
    return stream.getvalue() if archive.namelist() else b""


def _rings(found: DetectedObject) -> list[FloatArray]:
    """All outlines, those of holes too: a composite is filled by the even-odd rule. The box where there is no mask."""
    if found.prediction.has_masks:
        return [ring for outer, holes in found.polygons for ring in (outer, *holes)]
    x1, y1, x2, y2 = found.box.tolist()
    return [np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])]


def roi_bytes(rings: list[FloatArray], name: str) -> bytes:
    """One region, from its outlines (n, 2) in continuous pixels."""
    body = _polygon(rings[0]) if len(rings) == 1 else _composite(rings)
    points = np.concatenate(rings)
    left, top = np.floor(points.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(points.max(axis=0)).astype(int).tolist()
    single = len(rings) == 1
    header = struct.pack(
        ">4sHBxhhhhH16xHI8xHHBBHII",
        b"Iout",
        VERSION,
        POLYGON if single else RECTANGLE,
        *(top, left, bottom, right),
        len(rings[0]) if single else 0,
        0,  # width of the line: as it is set in ImageJ
        0 if single else len(body) // 4,
        0,  # no subtype
        SUBPIXEL if single else 0,
        *(0, 0, 0, 0),
        HEADER + len(body),
    )
    return header + body + _name_header(name, HEADER + len(body))


def _polygon(ring: FloatArray) -> bytes:
    """The points twice: relative to the left top corner in whole pixels, and exactly."""
    corner = np.floor(ring.min(axis=0))
    whole = np.rint(ring - corner).astype(">i2")
    exact = ring.astype(">f4")
    return bytes(whole.T.tobytes() + exact.T.tobytes())


def _composite(rings: list[FloatArray]) -> bytes:
    values: list[float] = []
    for ring in rings:
        for index, point in enumerate(ring.tolist()):
            values += [MOVE if index == 0 else LINE, *point]
        values.append(CLOSE)
    return np.array(values, ">f4").tobytes()


def _name_header(name: str, offset: int) -> bytes:
    """64 bytes, of which the name's place and length are used, and the name."""
    return struct.pack(">16xII40x", offset + HEADER, len(name)) + name.encode("utf-16-be")
