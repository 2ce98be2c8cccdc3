from __future__ import annotations

from pathlib import Path

import pytest

from maskrcnn.errors import UserError
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
    assert remove_forms(tmp_path) == [tmp_path / "labelme"]
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"in", "labelme", "crops"}
