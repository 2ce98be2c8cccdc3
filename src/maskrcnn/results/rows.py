"""Finished results, an image to a line of JSON: what an interrupted run leaves, and what files are made from.

A row is written when its image is done, as one line at the end of the file. Whatever ends the process, at most the last
line is incomplete; it is dropped when the file is continued.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maskrcnn.data.content import Content, content_if_same, content_of, has_size_of
from maskrcnn.data.file_names import is_safe_name
from maskrcnn.errors import UserError
from maskrcnn.files import relative_path
from maskrcnn.json_values import write_json
from maskrcnn.prediction import Prediction
from maskrcnn.results.row import RowFile, RunSettings, failed_row, found_row, read_rows, stated_content
from maskrcnn.text import one_line


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
        self._file = RowFile(path)
        self._home = os.path.realpath(path.parent)
        self._folder = Path(relative_path(os.getcwd(), self._home)).as_posix()
        self._hidden: Collection[str] = ()
        self.num_changed = 0  # images asked for that have a row and are others by now
        self.num_outdated = 0  # and such that are not asked for
        self.gone: set[str] = set()  # the real paths of finished images that are not there any more
        # The name of each finished image's picture, or of its label map, by the real path of the image.
        self.pictures: dict[str, str] = {}
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
            self._settings.require_same(row, self._path)
            file = os.path.realpath(self._name(row))
            others = others or ("" if file in now else row["file_name"])
            if resume:
                self._file.end = end
                self._note(file, row, start)
                contents[file] = stated_content(row) if row["error"] is None else contents.get(file)
        self._forget_changed(contents, now)
        if others and not resume:
            raise UserError(
                f"{self._path}: holds results of other images, such as {one_line(others)}; "
                "choose another --output, keep them with --resume, or replace them with --overwrite"
            )

    def _name(self, row: Mapping[str, Any]) -> str:
        """The path of a row's image from here: the command that wrote the row may have been given elsewhere.

        Rows say where, seen from their own folder, so that both can be moved together; where only the rows were moved,
        names may still be right from here.
        """
        name, folder = str(row["file_name"]), row.get("folder")
        if os.path.isabs(name) or not isinstance(folder, str) or folder == self._folder:
            return name
        there = os.path.join(self._home, folder, name)
        is_here = os.path.exists(name) and not os.path.exists(there)
        return name if is_here else Path(relative_path(there)).as_posix()

    def _note(self, file: str, row: Mapping[str, Any], start: int) -> None:
        if row["error"] is None:
            self._starts[file] = start
            self._failures.pop(file, None)
            name = row.get("picture", row.get("label_map"))
            if isinstance(name, str) and is_safe_name(name):
                self.pictures[file] = name
            self.any_panoptic |= isinstance(row.get("panoptic"), dict)
        else:
            self._failures[file] = start

    def _forget_changed(self, contents: Mapping[str, Content | None], now: Collection[str]) -> None:
        """Results of pictures that are others by now are none; of those not asked for, where another size says so.

        They may be many, and are not read for it.
        """
        for file in list(self._starts):
            content, named = contents[file], file in now
            if content is not None and (content_if_same(file, content) if named else has_size_of(file, content)):
                continue
            if named:
                del self._starts[file]
                self.num_changed += 1
            elif content is not None and os.path.exists(file):
                del self._starts[file]
                self.num_outdated += 1
            elif content is not None:
                self.gone.add(file)

    def without_gone(self) -> ResultRows:
        """The same rows, with the same numbers, but for those of images that are not there any more."""
        rows = copy.copy(self)
        rows._hidden = self.gone
        return rows

    @property
    def exist(self) -> bool:
        """Whether there are rows."""
        return self._path.exists()

    @property
    def any_done(self) -> bool:
        """Whether an image has a row without error."""
        return self.num_done > 0

    @property
    def num_done(self) -> int:
        """How many images have one."""
        return len(self._starts.keys() - self._hidden)

    def is_done(self, name: str) -> bool:
        """Whether this image has one."""
        return os.path.realpath(name) in self._starts

    def found(self, name: str, prediction: Prediction, seconds: float, *, more: bool = False) -> dict[str, Any]:
        """The row of an image, see `found_row`; what the file held stands in the last one."""
        return found_row(name, None if more else _content(name), prediction, seconds, self._settings, more=more)

    def append_failures(self, failures: list[tuple[str, str]]) -> None:
        """Rows of images that could not be read, given as (name, reason); the list is emptied."""
        for name, reason in failures:
            self.append(failed_row(name, reason, self._settings))
        failures.clear()

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row behind the others; it outlives the process from then on, unless it is not its image's last.

        Raises:
            UserError: the system refused.
        """
        placed = {} if os.path.isabs(row["file_name"]) else {"folder": self._folder}
        start = self._file.append({**row, **placed})
        if not row.get("more"):
            self._note(os.path.realpath(row["file_name"]), row, start)

    def close(self) -> None:
        """Write out what the system still holds back."""
        self._file.close()

    def write_coco(self, path: Path, names: Sequence[str]) -> int:
        """Write COCO's results of all finished images; the number of objects.

        Args:
            path: of the file to write.
            names: images whose numbers, from 1, are their ids; others that have rows come behind them.
        """
        objects = 0

        def counted() -> Iterator[dict[str, Any]]:
            nonlocal objects
            for result in self._results(names):
                objects += 1
                yield result

        write_json(path, counted())
        return objects

    def _results(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for image_id, row in self.numbered(names):
            for found in row["objects"]:
                yield {"image_id": image_id, **found, "file_name": row["file_name"]}

    def numbered(self, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The newest rows of each image with its number, as in `write_coco`; also of those that could not be read.

        One by one, so that memory does not grow with their number.
        """
        return ((image_id, row) for image_id, file in self.images(names) for row in self.of(file))

    def images(self, names: Sequence[str]) -> Iterator[tuple[int, str]]:
        """The number, as in `write_coco`, and the real path of every image that has a row."""
        files = dict.fromkeys([*map(os.path.realpath, names), *self._failures, *self._starts])
        return (
            (image_id, file)
            for image_id, file in enumerate(files, start=1)
            if file not in self._hidden and (file in self._starts or file in self._failures)
        )

    def of(self, file: str) -> Iterator[dict[str, Any]]:
        """The newest rows of an image, given by its real path: one, or several where it was cut into tiles."""
        with self._path.open("rb") as rows:
            rows.seek(self._starts[file] if file in self._starts else self._failures[file])
            for line in rows:
                row = json.loads(line)
                yield {**row, "file_name": self._name(row)}
                if not row.get("more"):
                    return


def _content(name: str) -> dict[str, int] | None:
    """By what a picture is known again: checksum, size, time stamp; None if it is gone already."""
    try:
        return asdict(content_of(name))
    except OSError:
        return None
