from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

from maskrcnn.data.formats.writers.scene import TURNED, Loss
from maskrcnn.data.image_header import ORIENTATION_TAG
from maskrcnn.errors import UserError
from maskrcnn.results.finished import Finished
from maskrcnn.results.forms import FORMS, remove_forms, require_replaceable, save_forms
from results.conftest import CLASSES, MakeRun


def test_every_form_has_a_folder_and_the_same_bytes_each_time(make_run: MakeRun, tmp_path: Path) -> None:
    finished, before = make_run(CLASSES), {}
    forms = tuple(form for form in FORMS if form != "wgs84")  # of images with a place on Earth, see test_geotiff.py
    for _ in range(2):
        require_replaceable(tmp_path, forms, overwrite=False)
        losses = save_forms(finished, tmp_path, forms)
        files = {p: p.read_bytes() for form in forms for p in (tmp_path / form).rglob("*") if p.is_file()}
        files = {p: content for p, content in files.items() if not p.name.startswith(".")}
        assert before in ({}, files)
        before = files
    assert losses.keys() == set(forms) == {p.relative_to(tmp_path).parts[0] for p in files}
    assert not list(tmp_path.glob(".*")), "nothing is left over"


@pytest.mark.parametrize("form", ["coco", "polygons", "labels", "yolo", "labelme", "label-studio", "cvat", "geojson"])
def test_copies_of_turned_pictures_are_told(form: str, make_run: MakeRun, tmp_path: Path) -> None:
    """Upside down, so that size tells nothing; GeoJSON holds no copies."""
    finished, exif = make_run(CLASSES), Image.Exif()
    exif[ORIENTATION_TAG] = 3
    Image.new("RGB", (80, 60)).save(finished.names[0], exif=exif)
    assert save_forms(finished, tmp_path, (form,))[form][TURNED] == (form != "geojson")


@pytest.mark.parametrize("error", [UserError("no room"), struct.error("a bug")], ids=["of the user", "a bug"])
def test_a_form_that_fails_stops_no_other(
    error: Exception, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Finished, folder: Path) -> Loss:
        (folder / "half").touch()
        raise error

    def refuse(_: Finished, __: Path) -> Loss:
        raise UserError("not this either")

    monkeypatch.setitem(FORMS, "labelme", fail)
    monkeypatch.setitem(FORMS, "yolo", refuse)
    both = "no room; not this either" if isinstance(error, UserError) else "a bug"
    with pytest.raises(type(error), match=f"^{both}$"):
        save_forms(make_run(CLASSES), tmp_path, ("csv", "labelme", "yolo", "geojson"))
    assert {path.name for path in tmp_path.iterdir()} == {"csv", "geojson", "in", "predictions.jsonl"}
    with pytest.raises(UserError, match=r"^not this either$"):
        save_forms(make_run(CLASSES), tmp_path, ("yolo",))


def test_what_was_corrected_is_not_replaced_unasked(make_run: MakeRun, tmp_path: Path) -> None:
    save_forms(make_run(CLASSES), tmp_path, ("labelme",))
    corrected = tmp_path / "labelme" / "a.json"
    corrected.write_text(corrected.read_text() + " ")
    with pytest.raises(UserError, match=r"labelme: was changed since it was written.*--overwrite"):
        require_replaceable(tmp_path, ("csv", "labelme"), overwrite=False)
    require_replaceable(tmp_path, ("labelme",), overwrite=True)
    require_replaceable(tmp_path, ("csv",), overwrite=False)
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "mine.txt").touch()
    with pytest.raises(UserError, match="changed"):
        require_replaceable(tmp_path, ("csv",), overwrite=False)


def test_forms_are_removed_but_for_what_was_changed_or_is_of_others(make_run: MakeRun, tmp_path: Path) -> None:
    save_forms(make_run(CLASSES), tmp_path, ("csv", "geojson", "labelme"))
    (tmp_path / "labelme" / "a.json").unlink()
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "mine.png").touch()
    assert remove_forms(tmp_path) == ([tmp_path / "csv", tmp_path / "geojson"], [tmp_path / "labelme"])
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"in", "labelme", "crops"}
