"""Every form that results are saved in, and the folder that each is written into."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from maskrcnn.data.formats.writers.scene import Loss
from maskrcnn.data.outputs import WRITTEN
from maskrcnn.errors import UserError
from maskrcnn.files import PARTIAL_SUFFIX, make_folder
from maskrcnn.results import crops, geojson, imagej_rois, instances, label_images, page, tables, wgs84
from maskrcnn.results.finished import Finished
from maskrcnn.results.label_formats import write_labels

FORMS: dict[str, Callable[[Finished, Path], Loss]] = {
    "coco": partial(instances.write, exact=True),
    "csv": tables.write,
    "labels": label_images.write,
    "polygons": partial(instances.write, exact=False),
    "yolo": partial(write_labels, writer="yolo", exact=True),
    "labelme": partial(write_labels, writer="labelme", exact=False),
    "label-studio": partial(write_labels, writer="label-studio", exact=False),
    "cvat": partial(write_labels, writer="cvat", exact=False),
    "geojson": geojson.write,
    "imagej-rois": imagej_rois.write,
    "crops": crops.write,
    "page": page.write,
    "wgs84": wgs84.write,
}
"""By the names that `predict --save` takes; each says what it had to leave out."""


_OF_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave where somebody looks."""


def require_replaceable(output: Path, forms: Sequence[str], *, overwrite: bool) -> None:
    """Before the work: nothing that was corrected since it was written is lost.

    Raises:
        UserError: a folder of one of the forms holds something else than this package wrote.
    """
    for form in forms:
        folder = output / form
        if not overwrite and folder.exists() and _files(folder) != _noted(folder):
            raise UserError(
                f"{folder}: was changed since it was written, perhaps corrected; move it elsewhere, choose another "
                "--output, or replace it with --overwrite"
            )


def remove_forms(output: Path) -> tuple[list[Path], list[Path]]:
    """Remove the forms of results that are about to be replaced, unless somebody has changed them.

    A folder of the name of a form that this package did not write is none of them, and one behind a link stays.

    Returns:
        The folders that are removed, and those that stay.
    """
    ours = [output / form for form in FORMS if (output / form / WRITTEN).exists()]
    changed = [folder for folder in ours if folder.is_symlink() or _files(folder) != _noted(folder)]
    removed = [folder for folder in ours if folder not in changed]
    for folder in removed:
        shutil.rmtree(folder)
    return removed, changed


def save_forms(finished: Finished, output: Path, forms: Sequence[str]) -> dict[str, Loss]:
    """Write each form into a folder of its name, whole or not at all; what each could not say.

    Raises:
        UserError: some cannot be written; by then all others are.
    """
    losses, errors = dict[str, Loss](), list[Exception]()
    for form in forms:
        try:
            losses[form] = _save(finished, output / form, FORMS[form])
        except Exception as error:  # whatever it is, the other forms of a long run are not to be lost
            errors.append(error)
    if errors:
        raise _as_one(errors)
    return losses


def _as_one(errors: Sequence[Exception]) -> Exception:
    """What the user can mend in one line; a bug goes before."""
    bugs = [error for error in errors if not isinstance(error, UserError)]
    return bugs[0] if bugs else UserError("; ".join(map(str, errors)))


def _save(finished: Finished, folder: Path, write: Callable[[Finished, Path], Loss]) -> Loss:
    folder = folder.resolve()  # behind a link there may be more room
    partial_folder = folder.with_name(f".{folder.name}{PARTIAL_SUFFIX}")
    shutil.rmtree(partial_folder, ignore_errors=True)
    make_folder(partial_folder)
    try:
        loss = write(finished, partial_folder)
    except BaseException:
        shutil.rmtree(partial_folder, ignore_errors=True)
        raise
    (partial_folder / WRITTEN).write_text(json.dumps(_files(partial_folder)))
    if folder.exists():
        shutil.rmtree(folder)
    partial_folder.rename(folder)
    return loss


def _files(folder: Path) -> dict[str, list[int]]:
    """Size and time of each file below, by name."""
    return {
        path.relative_to(folder).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (WRITTEN, *_OF_SYSTEMS)
    }


def _noted(folder: Path) -> object:
    try:
        return json.loads((folder / WRITTEN).read_text())
    except (OSError, ValueError):
        return None
