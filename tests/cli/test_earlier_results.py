"""What lies in an output before `predict` writes there again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.cli.earlier_results import remove_replaced, require_apart, without_pictures
from maskrcnn.cli.prediction_run import overlay_paths
from maskrcnn.data.outputs import drawn_pictures
from maskrcnn.errors import UserError
from maskrcnn.marks import is_marked
from maskrcnn.results.panoptic import save_segments
from maskrcnn.structures import Categories
from maskrcnn.structures.panoptic import PanopticMap
from maskrcnn.viz.label_maps import save_label_map
from maskrcnn.viz.overlay import save_picture

PIXELS = np.zeros((24, 31, 3), np.uint8)


class Said:
    """In the place of a reporter."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, line: str) -> None:
        self.lines.append(line)


def draw(*paths: Path) -> None:
    """As `predict` does."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name == "label_maps":
            save_label_map(path, PIXELS[..., 0], 250)
        elif path.parent.name == "panoptic":
            save_segments(path, PanopticMap(PIXELS[..., 0].astype(np.int32), ()), Categories((1,), ("cell",)))
        else:
            save_picture(path, PIXELS)


def own(*paths: Path) -> None:
    """As anybody else does."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg"):
            Image.fromarray(PIXELS).save(path)
        else:
            path.touch()


def write_rows(output: Path, *rows: Any) -> None:
    (output / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_what_predict_draws_is_marked(tmp_path: Path) -> None:
    """Near the beginning of each kind of file, also behind a palette; a link to such a file is none."""
    pictures = [tmp_path / "a.png", tmp_path / "a.jpg", tmp_path / "label_maps/a.png", tmp_path / "panoptic/a.png"]
    draw(*pictures)
    own(tmp_path / "b.png", tmp_path / "b.jpg", tmp_path / "empty.txt")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    assert {path for path in files(tmp_path) if is_marked(path)} == set(pictures)
    assert not is_marked(tmp_path) and not is_marked(tmp_path / "not there.png")


def test_all_that_rows_name_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Overlays, label maps, segments and the file of these; files that only look like them, or lie elsewhere, stay."""
    output = tmp_path / "out"
    draw(*(output / name for name in ("a.png", "label_maps/a.png", "label_maps/b.png", "panoptic/a.png")))
    others = [output / "b.png", output / "label_maps/mine.png", tmp_path / "x.png"]
    draw(*others)
    own(others[0], output / "panoptic.json", output / "predictions.json")
    write_rows(
        output,
        {"picture": "a.png", "label_map": "a.png", "panoptic": {"file_name": "a.png", "segments_info": []}},
        {"label_map": "b.png", "picture": "../x.png"},
        {"picture": "not there.png", "panoptic": 3},
    )
    remove_replaced(output, (), Said())  # type: ignore[arg-type]
    assert files(tmp_path) == {*others, output / "predictions.jsonl", output / "predictions.json"}


@pytest.mark.parametrize(
    "name", ["cell.png", "sub/cell.png", "..\\cell.png", "link/cell.png", "notes.txt", ".", "sub", ""]
)
def test_what_a_row_names_and_predict_has_not_drawn_stays(tmp_path: Path, name: str) -> None:
    """Rows may be older, of elsewhere, or made by hand: an original is never removed, whatever they say."""
    output = tmp_path / "out"
    own(output / "cell.png", output / "sub/cell.png", tmp_path / "elsewhere/cell.png", output / "notes.txt")
    draw(tmp_path / "elsewhere/drawn.png", output / "sub/drawn.png")
    (output / "link").symlink_to(tmp_path / "elsewhere")
    write_rows(output, {"picture": name}, {"picture": name.replace("cell", "drawn")})
    before = files(tmp_path)
    remove_replaced(output, (), Said())  # type: ignore[arg-type]
    assert files(tmp_path) == before
    assert without_pictures([output / "cell.png"], output, print) == [output / "cell.png"]


def test_panoptic_results_of_others_stay(tmp_path: Path) -> None:
    """A data folder may have a file of this name."""
    own(tmp_path / "panoptic.json")
    draw(tmp_path / "a.png")
    write_rows(tmp_path, {"picture": "a.png"})
    remove_replaced(tmp_path, (), Said())  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"panoptic.json", "predictions.jsonl"}


def form(folder: Path) -> Path:
    own(folder / "images/a.png")
    status = (folder / "images/a.png").stat()
    written = {"images/a.png": [status.st_size, status.st_mtime_ns]}
    (folder / ".written.json").write_text(json.dumps(written))
    return folder


def test_forms_that_go_are_named_and_those_behind_links_or_changed_stay(tmp_path: Path) -> None:
    output = tmp_path / "out"
    gone, changed, looked_at = (form(output / name) for name in ("coco", "yolo", "labels"))
    own(changed / "corrected.txt", looked_at / ".DS_Store")
    (output / "csv").symlink_to(form(tmp_path / "disk"))
    write_rows(output)
    said = Said()
    remove_replaced(output, (), said)  # type: ignore[arg-type]
    assert not gone.exists() and not looked_at.exists() and changed.exists() and (tmp_path / "disk/images").exists()
    assert [line.partition(":")[0] for line in said.lines] == [str(output), str(output / "csv"), str(changed)]
    assert "removed coco, labels" in said.lines[0]


def test_images_of_the_results_themselves_are_refused(tmp_path: Path) -> None:
    source = form(tmp_path / "coco") / "images/a.png"
    require_apart([source], tmp_path)
    write_rows(tmp_path)
    with pytest.raises(UserError, match=r"images.a\.png: lies among the results in .*choose another --output"):
        require_apart([tmp_path / "b.png", source], tmp_path)
    require_apart([tmp_path / "b.png"], tmp_path)


@pytest.mark.parametrize("folder", ["label_maps", "panoptic"])
def test_maps_never_overwrite_a_file_of_others(tmp_path: Path, folder: str) -> None:
    """They have the names of the pictures."""
    own(tmp_path / folder / "a.png")
    draw(tmp_path / folder / "b.png")
    (tmp_path / folder / "c.png").symlink_to(tmp_path / folder / "b.png")
    sources = [Path(f"images/{name}.png") for name in "abc"]
    assert [path.name for path in overlay_paths(sources, tmp_path).values()] == ["a_2.png", "b.png", "c_2.png"]


def test_a_picture_without_a_row_is_drawn_again_and_an_original_is_not(tmp_path: Path) -> None:
    """A process may be killed between the two."""
    draw(tmp_path / "a.png")
    own(tmp_path / "b.png")
    sources = [Path("images/a.png"), Path("images/b.png"), Path("images/c.png")]
    paths = overlay_paths(sources, tmp_path, {str(Path("images/c.png").resolve()): "../c.png"})
    assert [path.name for path in paths.values()] == ["a.png", "b_2.png", "c.png"]
    assert {path.parent for path in paths.values()} == {tmp_path}
    write_rows(tmp_path)
    assert drawn_pictures(tmp_path) == {"a.png"}
