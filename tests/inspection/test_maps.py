from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from maskrcnn.inspection.maps import MAX_SIDE, map_picture, palette, telling_channels


def decoded(address: str) -> np.ndarray:
    kind, data = address.split(",", 1)
    assert kind == "data:image/png;base64"
    return np.array(Image.open(BytesIO(b64decode(data))).convert("RGB"))


def test_values_become_colours_of_the_palette() -> None:
    picture = decoded(map_picture(torch.tensor([[0.0, 0.5], [1.0, 3.0]]), 0.0, 1.0))
    colours = palette()
    assert np.array_equal(picture, colours[[[0, 128], [255, 255]]])
    assert np.array_equal(decoded(map_picture(torch.full((2, 2), 7.0)))[0, 0], colours[0]), "one value everywhere"


def test_colours_grow_lighter() -> None:
    light = palette().astype(int) @ np.array([299, 587, 114])
    assert palette()[0].max() < 8 and palette()[255].min() > 150 and (np.diff(light) >= -300).all()


def test_large_maps_are_shrunk_and_outliers_cut() -> None:
    values = torch.zeros(2 * MAX_SIDE, MAX_SIDE)
    values[:, MAX_SIDE // 2 :] = 1.0
    picture = decoded(map_picture(values))
    assert picture.shape[:2] == (MAX_SIDE, MAX_SIDE // 2)
    assert np.array_equal(picture[0, 0], palette()[0]) and np.array_equal(picture[0, -1], palette()[255])
    values = torch.rand(100, 100)
    values[0, 0] = 1000.0
    assert decoded(map_picture(values)).mean() > 50, "one outlier does not darken the rest"
    assert decoded(map_picture(torch.tensor([[float("nan"), 1.0]]))).shape == (1, 2, 3)


def test_telling_channels() -> None:
    features = torch.zeros(3, 2, 2)
    features[1] = 5.0  # large, but the same everywhere
    features[2, 0, 0] = 1.0
    assert telling_channels(features, 1) == [2]
    assert sorted(telling_channels(features, 9)) == [0, 1, 2]
