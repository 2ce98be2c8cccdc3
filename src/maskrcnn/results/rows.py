"""Finished results, an image to a line of JSON: what an interrupted run leaves, and what files are made from.

A row is written when its image is done, as one line at the end of the file. Whatever ends the process, at most the last
line is incomplete; it is dropped when the file is continued.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from maskrcnn.data.content import Content, content_if_same, content_of
from maskrcnn.data.file_names import is_safe_name
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular, write_atomically
from maskrcnn.prediction import Prediction
from maskrcnn.text import brief, one_line


@dataclass(frozen=True)
class RunSettings:
    """What results depend on beside the image.

    Attributes:
        model: SHA-256 of the model's file.
        score_threshold: objects scored above it.
        max_detections: per image; None: as the model was trained.
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


class ResultRows:
    """The rows of one output folder.

    Args:
        path: of the file.
        settings: of the run.
    """

    def __init__(self, path: Path, settings: RunSettings) -> None:
        self._path, self._settings = path, settings
        self._starts: dict[str, int] = {}  # where the rows of finished images begin, by the real path of the image
        self._failures: dict[str, int] = {}  # and of those that could not be read
        self._end = 0  # of the last complete row that stays
        self._file: BinaryIO | None = None
        self.num_changed = 0  # images that have a row and are others by now
        self.pictures: dict[str, str] = {}  # the name of each finished image's picture, by the real path of the image
        self.any_panoptic = False

    def look(self, names: Sequence[str], *, resume: bool, overwrite: bool) -> None:
        """Look at what lies there, before the work; nothing is changed.

        The same run again replaces its own rows. `resume` keeps those of the same settings, also of other images, but
        for those of pictures whose content has changed; `overwrite` replaces whatever lies there.

        Raises:
            UserError: results would be lost, or rows of other settings continued.
        """
        if overwrite or not self._path.exists():
            return
        others = ""
        now, contents = {os.path.realpath(name) for name in names}, dict[str, Content | None]()
        for start, end, row in read_rows(self._path):
            self._require_same_settings(row)
            file = os.path.realpath(row["file_name"])
            others = others or ("" if file in now else row["file_name"])
            if resume:
                self._end = end
                self._note(file, row, start)
                contents[file] = _stated_content(row) if row["error"] is None else contents.get(file)
        self._forget_changed({file: contents[file] for file in self._starts.keys() & now})
        if others and not resume:
            raise UserError(
                f"{self._path}: holds results of other images, such as {one_line(others)}; "
                "choose another --output, keep them with --resume, or replace them with --overwrite"
            )

    def _note(self, file: str, row: Mapping[str, Any], start: int) -> None:
        if row["error"] is None:
            self._starts[file] = start
            self._failures.pop(file, None)
            name = row.get("picture")
            if isinstance(name, str) and is_safe_name(name):
                self.pictures[file] = name
            self.any_panoptic |= isinstance(row.get("panoptic"), dict)
        else:
            self._failures[file] = start

    def _forget_changed(self, contents: Mapping[str, Content | None]) -> None:
        """Results of pictures that are others by now are none."""
        for file, content in contents.items():
            if content is None or content_if_same(file, content) is None:
                del self._starts[file]
                self.num_changed += 1

    def _require_same_settings(self, row: Mapping[str, Any]) -> None:
        different = [
            f"{name} {brief(row.get(name))}, now {brief(value)}"
            for name, value in asdict(self._settings).items()
            if row.get(name) != value
        ]
        if different:
            raise UserError(
                f"{self._path}: holds results of another run ({'; '.join(different)}); "
                "choose another --output, or replace them with --overwrite"
            )

    @property
    def exist(self) -> bool:
        """Whether there are rows."""
        return self._path.exists()

    @property
    def any_done(self) -> bool:
        """Whether an image has a row without error."""
        return bool(self._starts)

    def is_done(self, name: str) -> bool:
        """Whether this image has one."""
        return os.path.realpath(name) in self._starts

    def found(self, name: str, prediction: Prediction, seconds: float) -> dict[str, Any]:
        """The row of an image: name, content, size, objects as COCO results without ids, seconds, and settings."""
        height, width = prediction.image_size
        objects = [{k: v for k, v in result.items() if k != "image_id"} for result in prediction.to_coco()]
        image = {"file_name": name, "content": _content(name), "height": height, "width": width}
        return {**image, "objects": objects, "error": None, "seconds": round(seconds, 4), **asdict(self._settings)}

    def append_failures(self, failures: list[tuple[str, str]]) -> None:
        """Rows of images that could not be read, given as (name, reason); the list is emptied."""
        for name, reason in failures:
            image = {"file_name": name, "content": None, "height": None, "width": None}
            self.append({**image, "objects": [], "error": reason, "seconds": None, **asdict(self._settings)})
        failures.clear()

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row behind the others; it outlives the process from then on.

        Raises:
            UserError: the system refused.
        """
        line = json.dumps(row).encode() + b"\n"
        try:
            self._file = self._file or self._opened()
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{self._path}: expected to write this file, but the system says: {error.strerror or error}; free some "
                "space or choose another output directory (finished rows are unharmed: --resume keeps them)"
            ) from error
        self._note(os.path.realpath(row["file_name"]), row, self._end)
        self._end += len(line)

    def _opened(self) -> BinaryIO:
        """The file behind its last complete row that stays."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("r+b" if self._end else "wb")
        file.truncate(self._end)
        file.seek(self._end)
        return file

    def close(self) -> None:
        """Write out what the system still holds back."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def write_coco(self, path: Path, names: Sequence[str]) -> int:
        """Write COCO's results of all finished images; the number of objects.

        Args:
            path: of the file to write.
            names: images whose numbers, from 1, are their ids; others that have rows come behind them.
        """
        objects = 0

        def write(partial: Path) -> None:
            nonlocal objects
            with partial.open("w") as target:
                separator = "["
                for result in self._results(names):
                    target.write(separator + json.dumps(result))
                    separator, objects = ", ", objects + 1
                target.write("[]" if separator == "[" else "]")

        write_atomically(path, write)
        return objects

    def _results(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for image_id, row in self.numbered(names):
            for found in row["objects"]:
                yield {"image_id": image_id, **found, "file_name": row["file_name"]}

    def numbered(self, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The newest row of each image with its number, as in `write_coco`; also of those that could not be read.

        Image by image, so that memory does not grow with their number.
        """
        starts = {**self._failures, **self._starts}
        files = dict.fromkeys([*map(os.path.realpath, names), *starts])
        if not starts:
            return
        with self._path.open("rb") as rows:
            for image_id, file in enumerate(files, start=1):
                if file in starts:
                    rows.seek(starts[file])
                    yield image_id, json.loads(rows.readline())


def _content(name: str) -> dict[str, int] | None:
    """By what a picture is known again: checksum, size, time stamp; None if it is gone already."""
    try:
        return asdict(content_of(name))
    except OSError:
        return None


def _stated_content(row: Mapping[str, Any]) -> Content | None:
    """What a row says of its picture; None where it is not what `_content` writes."""
    stated = row.get("content")
    names = {field.name for field in fields(Content)}
    is_whole = isinstance(stated, dict) and stated.keys() == names and all(type(v) is int for v in stated.values())
    return Content(**stated) if isinstance(stated, dict) and is_whole else None


def read_rows(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Where each row of a file begins and ends, and what it says; an incomplete last line is left out.

    Raises:
        UserError: a line that is no row.
    """
    with open_regular(path, "rows of results") as file:
        start = 0
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):  # cut off while it was written
                return
            yield start, start + len(line), _row(line, f"{path}, line {number}")
            start += len(line)


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
    return {"error": None, **row}
