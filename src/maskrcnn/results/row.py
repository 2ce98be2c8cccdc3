"""One finished image as a line of JSON: how it is made, read and compared. Whoever writes results writes these rows.

An image that was cut into tiles takes several lines, each with some of its objects; all but its last say
`"more": true`. Nobody has to hold all objects of a huge image. Lines of an image whose last one is missing count for
nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from maskrcnn.data.content import Content
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular
from maskrcnn.prediction import Prediction
from maskrcnn.text import brief, one_line


@dataclass(frozen=True)
class RunSettings:
    """What results depend on beside the image.

    Attributes:
        model: SHA-256 of the model's file.
        score_threshold: objects scored above it.
        max_detections: per image, or per tile of one that is cut; None: as the model was trained.
        precision: what the network computed in.
        proposals: SHA-256 of the file of proposals, None without one.
        tiles: how large images are cut: "auto", "none" or a number, and the overlap and background if given.
    """

    model: str
    score_threshold: float
    max_detections: int | None
    precision: str
    proposals: str | None
    tiles: str = "auto"

    def require_same(self, row: Mapping[str, Any], path: Path) -> None:
        """That a row of the file `path` was made with these settings.

        Raises:
            UserError: it was not.
        """
        different = [
            f"{name} {brief(row.get(name))}, now {brief(value)}"
            for name, value in asdict(self).items()
            if row.get(name) != value
        ]
        if different:
            raise UserError(
                f"{path}: holds results of another run ({'; '.join(different)}); "
                "choose another --output, or replace them with --overwrite"
            )


def found_row(
    name: str,
    content: Mapping[str, int | None] | None,
    prediction: Prediction,
    seconds: float,
    settings: RunSettings,
    *,
    more: bool = False,
) -> dict[str, Any]:
    """The row of an image: name, content, size, objects as COCO results without ids, seconds, and settings.

    With `more` there are other objects of the image, in rows behind this one; `limited` is there where the image, or a
    tile of this part of it, may have objects beyond the limit of detections.
    """
    height, width = prediction.image_size
    objects = [{k: v for k, v in result.items() if k != "image_id"} for result in prediction.to_coco()]
    image = {"file_name": name, "content": content, "height": height, "width": width}
    flags = {"more": more, "limited": prediction.limited > 0}
    set_flags = {flag: True for flag, is_set in flags.items() if is_set}
    return {**image, "objects": objects, "error": None, "seconds": round(seconds, 4), **asdict(settings), **set_flags}


def failed_row(name: str, reason: str, settings: RunSettings) -> dict[str, Any]:
    """The row of an image that could not be read."""
    image = {"file_name": name, "content": None, "height": None, "width": None}
    return {**image, "objects": [], "error": reason, "seconds": None, **asdict(settings)}


def stated_content(row: Mapping[str, Any]) -> Content | None:
    """What a row says of its picture; None where that is not the content of a file: an object has no time."""
    stated = row.get("content")
    names = {field.name for field in fields(Content)}
    is_whole = isinstance(stated, dict) and stated.keys() == names and all(type(v) is int for v in stated.values())
    return Content(**stated) if isinstance(stated, dict) and is_whole else None


def read_rows(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Where the rows of each image begin and end, and what the last of them says; incomplete ones are left out.

    Raises:
        UserError: a line that is no row.
    """
    start = 0
    for end, row in read_lines(path):
        if not row.get("more"):
            yield start, end, row
            start = end


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Where each single row ends, and what it says, also of images whose last row is missing. Raises as `read_rows`."""
    with open_regular(path, "rows of results") as file:
        end = 0
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):  # cut off while it was written
                return
            end += len(line)
            yield end, _row(line, f"{path}, line {number}")


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    kinds = {"file_name": str, "objects": list}
    if not isinstance(row, dict) or not all(isinstance(row.get(name), kind) for name, kind in kinds.items()):
        raise UserError(
            f"{where}: expected a row of results as JSON, got {one_line(line[:200].decode(errors='replace'))}; "
            "choose another --output, or replace the file with --overwrite"
        )
    row.setdefault("error", None)
    return row


class RowFile:
    """Rows are written at the end of a file; each outlives the process once it is there.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._unfinished = 0  # bytes behind the end, of an image of which there are more rows to come
        self._image: object = None  # its name
        self.end = 0
        """Of the last image's rows that stay; what lies behind it goes with the first row that is written."""

    def append(self, row: Mapping[str, Any]) -> int:
        """Write a row behind the others; where its image's rows begin.

        Rows of an image of which others were to come are dropped when something else comes, or nothing.

        Raises:
            UserError: the system refused.
        """
        line, start = json.dumps(row).encode() + b"\n", self.end
        try:
            self._file = self._file or self._opened()
            if row["error"] is not None or row["file_name"] != self._image:
                self._drop_unfinished()
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{self._path}: expected to write this file, but the system says: {error.strerror or error}; free some "
                "space or choose another output directory (finished rows are unharmed: --resume keeps them)"
            ) from error
        self._unfinished, self._image = self._unfinished + len(line), row["file_name"]
        if not row.get("more"):
            self.end, self._unfinished = self.end + self._unfinished, 0
        return start

    def close(self) -> None:
        """Write out what the system still holds back."""
        if self._file is not None:
            self._drop_unfinished()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def complete(self) -> None:
        """Close the file with the rows that stay and nothing behind them, also where no row was written."""
        self._file = self._file or self._opened()
        self.close()

    def _drop_unfinished(self) -> None:
        if self._file is not None and self._unfinished:
            self._file.truncate(self.end)
            self._file.seek(self.end)
            self._unfinished = 0

    def _opened(self) -> BinaryIO:
        """The file behind its last row that stays."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("r+b" if self.end else "wb")
        file.truncate(self.end)
        file.seek(self.end)
        return file
