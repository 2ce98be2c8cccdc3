"""A few images of the val split, drawn with what the model finds in them at each evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.errors import UserError
from maskrcnn.evaluation.parts import Part, is_huge, labelled_window
from maskrcnn.evaluation.pictures import overlay_truth
from maskrcnn.files import write_atomically
from maskrcnn.large.overview import seen_in
from maskrcnn.prediction import Prediction
from maskrcnn.scoring import ground_truth_of, opened_picture
from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.inline import jpeg_bytes

IMAGES = 4
KEPT = 6
"""Evaluations whose pictures are kept: the newest ones."""
LONGEST_SIDE = 480
SCORE = 0.5

LABELS = "labels"

Show = Callable[[str, int, ByteArray], object]


class WatchedImages:
    """Images from the whole of the val split, always the same.

    Args:
        data: the val split.
        folder: where the pictures go, with `index.json`: image name -> (what, file), the labels first.
        show: gets each picture too: its name, the step, (H, W, 3) uint8 RGB.
        step: of the training.
    """

    def __init__(self, data: LabelledImages, folder: Path, show: Show, step: int) -> None:
        self._data, self._folder, self._show, self._step = data, folder, show, step
        count = len(data.labels)
        self._numbers = set(np.linspace(0, count - 1, min(IMAGES, count)).round().astype(int).tolist())
        self._index = read_index(folder)

    def look(self, number: int, prediction: Prediction) -> ByteArray | None:
        """What was found in image `number` of the split, drawn, if it is one of those watched."""
        if number not in self._numbers:
            return None
        found = prediction[prediction.scores > SCORE]
        with suppress(UserError):  # a file that is gone by now: it was measured, and that counts
            if is_huge(prediction.image_size):
                part = self._part(number)
                found = seen_in(found, part.pixels, part.window)
            return found.overlay()
        return None

    def take(self, number: int, overlay: ByteArray | None) -> None:
        """Keep what `look` has drawn."""
        if overlay is not None:
            with suppress(UserError):  # no place on the disk: the training itself says so, where it matters
                self._keep(number, overlay)

    def _keep(self, number: int, overlay: ByteArray) -> None:
        name, step = self._data.labels.file_name(number), self._step
        rows = self._index.setdefault(name, [])
        if not rows:
            self._add_labels(number, rows)
        file = f"{step:08d}_{number}.jpg"
        self._show(name, step, overlay)
        self._save(file, overlay)
        newest = [row for row in rows if row[0] not in (LABELS, f"step {step}")]
        for _, old in newest[KEPT - 1 :]:
            (self._folder / old).unlink(missing_ok=True)
        rows[:] = [*(row for row in rows if row[0] == LABELS), (f"step {step}", file), *newest[: KEPT - 1]]
        write_atomically(self._folder / "index.json", json.dumps(self._index))

    def _add_labels(self, number: int, rows: list[Any]) -> None:
        try:
            part = self._part(number)
        except UserError:
            return
        image_id = int(self._data.labels.image_ids[number])
        file = f"labels_{number}.jpg"
        self._save(file, overlay_truth(part, image_id, ground_truth_of(self._data)))
        rows.append((LABELS, file))

    def _part(self, number: int) -> Part:
        """All of an image; of a huge one where most of its objects are."""
        image, labels = opened_picture(self._data, number, MAX_PIXELS), self._data.labels
        return Part.of(image, labelled_window(labels, number) if is_huge(image.size) else None)

    def _save(self, file: str, picture: ByteArray) -> None:
        write_atomically(self._folder / file, jpeg_bytes(picture, LONGEST_SIDE))


def read_index(folder: Path) -> dict[str, list[Any]]:
    """What pictures there are of each image: (what is shown, file), the labels first, then the newest."""
    try:
        index = json.loads((folder / "index.json").read_text())
        return {name: [(text, file) for text, file in rows] for name, rows in index.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
