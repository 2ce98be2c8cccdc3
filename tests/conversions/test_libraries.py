from __future__ import annotations

import sys

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from test_prediction import bitmaps, prediction


def test_pandas() -> None:
    pytest.importorskip("pandas")
    frame = prediction().to_dataframe()
    assert list(frame["class"]) == ["long", "round"] and frame.loc[0, "area"] == 12 and len(frame) == 2
    assert len(prediction(mask_probs=None).to_dataframe()) == 2 and len(prediction()[:0].to_dataframe()) == 0


def test_supervision() -> None:
    pytest.importorskip("supervision")
    found = prediction().to_supervision()
    assert np.array_equal(found.mask, bitmaps()) and found.class_id.tolist() == [1, 0]
    assert found.xyxy.tolist() == [[2, 1, 6, 4], [0, 5, 10, 8]] and found.data["class_name"].tolist() == [
        "long",
        "round",
    ]
    assert prediction(mask_probs=None).to_supervision().mask is None and len(prediction()[:0].to_supervision()) == 0


def test_shapely() -> None:
    """A ring with a hole and a part that touches it at a corner: valid, and the area of the pixels but for corners."""
    pytest.importorskip("shapely")
    masks = np.zeros((2, 8, 10), bool)
    masks[0, 1:4, 2:6], masks[0, 2, 3], masks[0, 4, 6] = True, False, True
    masks[1, 5:8, 0:2], masks[1, 5:8, 4:10] = True, True
    packed = PackedRLE.from_rles(map(encode_rle, masks), (8, 10))
    first, second = prediction(mask_probs=None, given_masks=packed).to_shapely()
    assert first.is_valid and second.is_valid and second.geom_type == "MultiPolygon" and second.area == 24
    assert first.area == pytest.approx(12, abs=1) and first.bounds == (2, 1, 7, 5)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        prediction().to_dataframe()
