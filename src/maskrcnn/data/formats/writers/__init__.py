"""Writers of label formats: COCO content to a folder that the tool of the format, and this package, reads.

`WRITERS` is the complete table. There and back gives the same masks, but for what a format cannot say; that is counted
and said. The same content gives the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maskrcnn.data.formats.writers import coco, cvat, label_studio, labelme, masks, voc, yolo
from maskrcnn.data.formats.writers.scene import BOX_ALONE, KEYPOINTS, Loss, Scene, turned

WRITERS: dict[str, Callable[[Scene, Path], Loss]] = {
    "coco": coco.write,
    "yolo": yolo.write,
    "labelme": labelme.write,
    "voc": voc.write,
    "masks": masks.write,
    "label-studio": label_studio.write,
    "cvat": cvat.write,
}
"""Every form that can be written, by the name that `convert --to` takes; each says what it had to leave out."""


_WHOLE = (BOX_ALONE, masks.COVERED, masks.TOO_MANY)


def num_missing(loss: Loss) -> int:
    """How many objects a form has not got at all."""
    return sum(loss[sentence] for sentence in _WHOLE)


def write_form(form: str, scene: Scene, folder: Path) -> Loss:
    """Write one of `WRITERS` into a folder; what it had to leave out, keypoints too, and what its pictures need."""
    loss = WRITERS[form](scene, folder)
    for picture in scene.pictures:
        loss += turned(picture.source, picture.size)
    lost = sum(bool(entry.get("num_keypoints")) for entry in scene.coco["annotations"]) if form != "coco" else 0
    return loss + Loss({KEYPOINTS: lost})
