"""How a resumed run recognises its pictures: checksums, taken when training first reads each.

So nothing is read for them alone, however large the data, and a picture that training has not read may still change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from maskrcnn.data.content import Content, content_if_same
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.errors import UserError
from maskrcnn.weights.tensor_file import read_tensors, write_tensors

_FIELDS = ("checksum", "size", "time")
_NEVER = -1


class SeenPictures:
    """The contents of the pictures that training has read.

    Args:
        dataset: N images.
    """

    def __init__(self, dataset: CocoDataset) -> None:
        self._dataset = dataset
        self._table = {name: torch.full((len(dataset),), _NEVER) for name in _FIELDS}
        self._is_saved = False
        self._fresh: dict[int, Content] = {}

    def note(self, image: int, content: Content) -> None:
        """Training has read this."""
        for name in _FIELDS:
            self._table[name][image] = getattr(content, name)
        self._fresh[image] = content
        self._is_saved = False

    def fresh(self) -> dict[int, Content]:
        """What this process has noted since it was last asked."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def merge(self, fresh: Iterable[dict[int, Content]]) -> None:
        """What several processes have noted."""
        for contents in fresh:
            for image, content in contents.items():
                self.note(image, content)
        self._fresh = {}

    def save(self, path: Path) -> None:
        """Write the table, unless it is written already.

        Raises:
            UserError: the system refused to write.
        """
        if not self._is_saved:
            write_tensors(path, self._table, {"folder": str(self._dataset.folder.resolve())})
            self._is_saved = True

    def compare(self, path: Path, say: Callable[[str], None]) -> list[str]:
        """Take over the table in `path`; return the file names of pictures that are others now, or gone.

        A picture with its old place, size and time stamp is the same; of others the checksum is taken anew.
        """
        try:
            table, header = read_tensors(path)
        except UserError as error:
            say(f"{error}; so the pictures are not compared with those that training has read")
            return []
        self._table, self._is_saved = table, False
        same_place = header["folder"] == str(self._dataset.folder.resolve())
        if not same_place:
            say(f"the images have moved from {header['folder']}: comparing the checksums of those that were read")
        return [self._dataset.labels.file_name(image) for image in self._changed(same_place)]

    def _changed(self, same_place: bool) -> Iterator[int]:
        for image in (self._table["checksum"] != _NEVER).nonzero()[:, 0].tolist():
            before = Content(*(int(self._table[name][image]) for name in _FIELDS))
            content = content_if_same(self._dataset.path(image), before, trust_time=same_place)
            if content is None:
                yield image
            else:
                self.note(image, content)
