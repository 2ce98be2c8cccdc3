"""What an earlier run of `maskrcnn predict` left in the output, as far as the next one must know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.data.outputs import PANOPTIC, WRITTEN, drawn_pictures, is_made, is_output, result_files
from maskrcnn.errors import UserError
from maskrcnn.text import counted

if TYPE_CHECKING:
    from maskrcnn.cli.progress import Reporter
    from maskrcnn.results.rows import ResultRows


def without_pictures(sources: Sequence[Path], output: Path, note: Callable[[str], object]) -> list[Path]:
    """The sources that are no overlays of an earlier run in the output, which a shell's pattern names as well.

    Raises:
        UserError: all are.
    """
    folders = {source.parent for source in sources}
    if output.resolve() not in {folder.resolve() for folder in folders}:
        return list(sources)  # the pictures of the output may be many, and need not be opened for this
    pictures = {(output / name).resolve() for name in drawn_pictures(output)}
    kept = [source for source in sources if source.resolve() not in pictures]
    if not kept:
        raise UserError(f"{sources[0]}: a picture that an earlier run made; expected the image itself, name that")
    if len(kept) < len(sources):
        note(f"left out {counted(len(sources) - len(kept), 'result')} of predict in {output}")
    return kept


def tell_what_is_kept(rows: ResultRows, num_sources: int, num_waiting: int, reporter: Reporter) -> None:
    """What of an earlier run is among the results, and what no longer is."""
    if rows.num_changed:
        reporter.note(f"{counted(rows.num_changed, 'image')} changed since: done anew")
    if rows.num_outdated:
        reporter.warn(f"{counted(rows.num_outdated, 'other image')} changed since: left out until named again")
    if done := num_sources - num_waiting:
        reporter.note(f"{done} of {num_sources} images are done already")
    if others := rows.num_done - done:
        gone = f", of which {len(rows.gone)} no longer there (--overwrite begins without)" if rows.gone else ""
        reporter.note(f"{counted(others, 'other image')} of earlier runs kept{gone}")


def require_apart(sources: Sequence[Path], output: Path) -> None:
    """Refuse to read images from what the run is about to replace.

    Raises:
        UserError: a source lies in a form of results, the label maps or the segments of the output.
    """
    folders = output.iterdir() if is_output(output) else ()
    made = {folder.resolve() for folder in folders if folder.is_dir() and is_made(folder)}
    for source in sources if made else ():
        if not made.isdisjoint(source.resolve().parents):
            raise UserError(
                f"{source}: lies among the results in {output}, which this run replaces; choose another --output"
            )


def remove_replaced(output: Path, forms: Sequence[str], reporter: Reporter) -> None:
    """Remove what was made of rows that the first new row replaces: beside the new results it would belong to others.

    Args:
        output: of the run.
        forms: that are to be written, whatever lies there.
        reporter: is told of folders that are removed, and of those that stay since somebody has changed them.
    """
    for path in result_files(output):
        path.unlink(missing_ok=True)
        if path.parent == output / PANOPTIC:
            (output / f"{PANOPTIC}.json").unlink(missing_ok=True)
    if not any(output.glob(f"*/{WRITTEN}")):
        return
    from maskrcnn.results.forms import remove_forms

    removed, changed = ([folder for folder in folders if folder.name not in forms] for folders in remove_forms(output))
    if removed:
        names = ", ".join(folder.name for folder in removed)
        reporter.warn(f"{output}: removed {names}, made of the results that are replaced; --save writes forms anew")
    for folder in changed:
        reporter.warn(f"{folder}: was changed since it was written, so it stays, with the results of an earlier run")
