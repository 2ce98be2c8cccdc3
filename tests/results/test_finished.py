from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskrcnn.results.finished import prediction_of
from maskrcnn.results.forms import save_forms
from results.conftest import CLASSES, PERSONS, MakeRun, drawn


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
