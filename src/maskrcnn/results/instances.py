"""COCO instances with scores, and the images; object by object, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maskrcnn.data.formats.writers.coco import save_instances
from maskrcnn.data.formats.writers.scene import Loss, copy_picture, turned
from maskrcnn.results.finished import Finished
from maskrcnn.results.label_formats import Json, annotations_of, image_entry


def write(finished: Finished, folder: Path, *, exact: bool) -> Loss:
    """`images/` and `instances.json`.

    Args:
        finished: the images.
        folder: to write into.
        exact: masks to the pixel; else outlines, see `label_formats`.
    """
    loss, images = Loss(), []
    for image in finished:
        copy_picture(image.path, folder / "images" / image.file_name)
        loss += turned(image.path, image.size)
        images.append({**image_entry(image), "file_name": image.file_name})
    rest = {"images": images, "categories": finished.categories.to_coco()}
    save_instances(folder / "instances.json", rest, _annotations(finished, loss, exact))
    return loss


def _annotations(finished: Finished, loss: Loss, exact: bool) -> Iterator[Json]:
    entries = (entry for image in finished for entry in annotations_of(image, loss, exact))
    return ({"id": number, **entry} for number, entry in enumerate(entries, start=1))
