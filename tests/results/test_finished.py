from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.results.finished import Finished, prediction_of
from maskrcnn.results.forms import save_forms
from maskrcnn.results.rows import ResultRows
from results.conftest import CLASSES, PERSONS, SETTINGS, MakeRun, drawn


@pytest.mark.parametrize("categories", [CLASSES, PERSONS], ids=["classes", "keypoints"])
def test_predictions_come_back(categories: object, make_run: MakeRun) -> None:
    finished = make_run(categories)
    (first, empty), expected = finished, drawn(categories, Path("a.png"))
    assert (first.number, first.name, first.stem, empty.number, empty.name) == (1, "a.png", "a", 2, "more/b.png")
    found = first.prediction
    assert np.array_equal(found.masks(), expected.masks()) and found.names == expected.names
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores)
    if categories is PERSONS:
        np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
    assert len(empty.prediction) == 0 and list(finished.failures()) == [(finished.names[2], "broken")]
    assert len(list(finished)) == 2, "it can be gone through again"


def test_images_that_share_a_stem_have_files_of_their_names(tmp_path: Path) -> None:
    names = ["A.bmp", "a.jpg", "a.png", "b.png"]
    rows = ResultRows(tmp_path / "predictions.jsonl", SETTINGS)
    for name in names:
        Image.new("RGB", (80, 60)).save(tmp_path / name)
        rows.append(rows.found(str(tmp_path / name), drawn(CLASSES, tmp_path / name), 0.1))
    rows.close()
    save_forms(Finished(rows, [str(tmp_path / name) for name in names], CLASSES), tmp_path, ("geojson", "labels"))
    found = {path.name for path in (tmp_path / "geojson").glob("*.geojson")}
    assert found == {"A.bmp.geojson", "a.jpg.geojson", "a.png.geojson", "b.geojson"}
    masks = {path.stem for path in (tmp_path / "labels" / "masks").iterdir()}
    assert masks == {path.stem for path in (tmp_path / "labels" / "images").iterdir()} and len(masks) == 4


def test_an_image_in_several_rows_is_one_image(make_run: MakeRun, tmp_path: Path) -> None:
    """Every form has the same objects with the same numbers, whether it takes them in parts or as a whole."""
    finished, forms = make_run(PERSONS), ("coco", "labels", "geojson", "csv")
    save_forms(finished, tmp_path / "whole", forms)
    whole, rows = drawn(PERSONS, Path(finished.names[0])), finished.rows
    rows.append(rows.found(finished.names[0], whole[:2], 0.1, more=True))
    rows.append(rows.found(finished.names[0], whole[2:2], 0.1, more=True))
    rows.append(rows.found(finished.names[0], whole[2:], 0.1))
    rows.close()
    image = next(iter(finished))
    assert [len(part) for part in image.parts()] == [2, 0, 3] and image.size == (60, 80)
    assert image.prediction.to_coco() == prediction_of({**rows.found("a", whole, 0.0)}, PERSONS).to_coco()
    save_forms(finished, tmp_path / "parts", forms)
    for form in forms:
        for path in (tmp_path / "whole" / form).rglob("[!.]*"):
            other = tmp_path / "parts" / path.relative_to(tmp_path / "whole")
            assert path.is_dir() or path.read_bytes() == other.read_bytes(), path
