"""COCO's `images`: which files they are, of which size; each file once, however often it is listed."""

from __future__ import annotations

import posixpath
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.file_names import ImageFolder, file_identity
from maskrcnn.data.image_header import ImageHeader
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.data.windowed.files import labelled_header
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number, whole_number
from maskrcnn.masks.rle_coco import LARGEST_LABELLED
from maskrcnn.structures import Size
from maskrcnn.structures.labels import ImageEntry
from maskrcnn.text import brief, one_line

Entry = Mapping[str, Any]


class ImageReader:
    """One pass over the list of images.

    Args:
        folder: the images' file names are relative to this; None: no file is looked for.
        check_files: also open each image's header, and let the file's size win over the annotations'.
        max_pixels: images that claim more are dropped, but for files of which windows are read.
        group_by: field of the image records whose values tell groups of images apart; empty: one group.
        report: takes down what is wrong.
        channels: of the images.
    """

    def __init__(
        self,
        folder: Path | None,
        check_files: bool,
        max_pixels: int,
        group_by: str,
        report: DataReport,
        channels: Channels = RGB,
    ) -> None:
        self.folder = None if folder is None else ImageFolder(folder)
        self.check_files = check_files
        self.max_pixels = max_pixels
        self.group_by = group_by
        self.report = report
        self.channels = channels
        self.ids: set[int] = set()
        self.same_as: dict[int, int] = {}
        """Id of an image that is listed again -> the id under which its file was listed first."""
        self.group_names: list[str] = []
        """What the groups of images are called, by their numbers; none without a field to group by."""
        self._groups: dict[str, int] = {}
        self._names: set[str] = set()
        self._first_ids: dict[Hashable, int] = {}

    def read(self, entries: list[Any]) -> Iterator[ImageEntry]:
        """The images that can be used, in the order of the file."""
        names = (entry.get("file_name") for entry in entries if isinstance(entry, dict))
        self._names = {name for name in names if isinstance(name, str)}
        for number, entry in enumerate(entries):
            image_id = id_number(entry.get("id")) if isinstance(entry, dict) else None
            if image_id is None:
                self.report.add(Fault.IMAGE_MALFORMED, f"image number {number}", brief(entry))
            elif image_id in self.ids:
                self.report.add(Fault.IMAGE_ID_TWICE, f"image {image_id}", brief(entry))
            else:
                self.ids.add(image_id)
                self.report.place = (image_id, {})
                if (image := self._image(image_id, entry)) is not None:
                    yield image
        self.report.place = (None, {})

    def _image(self, image_id: int, entry: Entry) -> ImageEntry | None:
        stated_name = entry.get("file_name", str(image_id) if self.folder is None else None)
        if not isinstance(stated_name, str):
            self.report.add(Fault.IMAGE_MALFORMED, f"image {image_id}", brief(entry))
            return None
        shown_id = one_line(entry["id"]) if isinstance(entry["id"], str) else image_id
        where = f"image {shown_id} ({one_line(stated_name)})"
        if isinstance(entry["id"], str):
            self.report.add(Fault.IMAGE_ID_TEXT, where, str(image_id))
        file_name = self._file_name(stated_name, where)
        if file_name is None or self._is_listed_already(image_id, file_name, where):
            return None
        size = self._size(entry, file_name, where)
        return None if size is None else ImageEntry(image_id, file_name, size, self._group(entry))

    def _file_name(self, stated: str, where: str) -> str | None:
        """The file a name means; the end of a name must not mean what another image states or means already."""
        if self.folder is None:
            return stated
        found = self.folder.find(stated)
        if found is None:
            self.report.add(Fault.IMAGE_FILE_MISSING, where, f"in {self.folder.path}")
            return None
        if found.name == stated:
            return stated
        if found.by_end and found.name in self._names:
            self.report.add(Fault.IMAGE_FILE_TWICE, where, found.name)
            return None
        self._names.add(found.name)
        self.report.add(Fault.IMAGE_NAME_END if found.by_end else Fault.IMAGE_NAME_SPELLED, where, found.name)
        return found.name

    def _is_listed_already(self, image_id: int, file_name: str, where: str) -> bool:
        """Whether another entry has the same file, under this name, another one or by a link."""
        first = self._first_ids.setdefault(self._identity(file_name), image_id)
        if first == image_id:
            return False
        self.same_as[image_id] = first
        self.report.add(Fault.IMAGE_LISTED_TWICE, where, f"image {first}")
        return True

    def _identity(self, file_name: str) -> Hashable:
        if self.folder is None:
            return posixpath.normpath(file_name.replace("\\", "/"))
        return file_identity(self.folder.path / file_name)

    def _size(self, entry: Entry, file_name: str, where: str) -> Size | None:
        """(height, width) its labels refer to."""
        stated = self._stated_size(entry, where)
        if self.folder is None or (stated is not None and not self.check_files):
            return stated
        path = self.folder.path / file_name
        try:
            header = labelled_header(path, self.channels, self.max_pixels)
        except UserError as error:
            self.report.add(Fault.IMAGE_FILE_BROKEN, where, str(error).removeprefix(f"{path}: "))
            self.report.dropped.add(file_name)
            return None
        return self._checked_size(stated, header, where)

    def _group(self, entry: Entry) -> int:
        """Number of the image's group; lists and objects tell as little as a missing field."""
        value = entry.get(self.group_by)
        is_name = isinstance(value, str | int | float)
        name = repr(value) if is_name else ""
        if name not in self._groups and self.group_by:
            self.group_names.append(f"{self.group_by} {one_line(str(value)) if is_name else 'unknown'}")
        return self._groups.setdefault(name, len(self._groups))

    def _stated_size(self, entry: Entry, where: str) -> Size | None:
        height, width = whole_number(entry.get("height")), whole_number(entry.get("width"))
        is_decoded = self.folder is not None and not self.check_files
        limit = self.max_pixels if is_decoded else LARGEST_LABELLED
        if height and width and height > 0 and width > 0 and height * width <= limit:
            return height, width
        detail = f"width {brief(entry.get('width'))}, height {brief(entry.get('height'))}"
        fault = Fault.IMAGE_SIZE_UNKNOWN if self.folder is None else Fault.IMAGE_SIZE_MISSING
        self.report.add(fault, where, detail)
        return None

    def _checked_size(self, stated: Size | None, header: ImageHeader, where: str) -> Size:
        if stated is None or stated == header.size:
            return header.size
        detail = f"stated {stated[1]} x {stated[0]}, file {header.size[1]} x {header.size[0]}"
        if header.is_labelled_raw(stated):
            self.report.add(Fault.IMAGE_LABELLED_RAW, where, detail)
            return stated
        self.report.add(Fault.IMAGE_SIZE_DISAGREES, where, detail)
        return header.size
