"""Label maps over their image, and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.errors import UserError
from maskrcnn.viz.colours import instance_colour
from maskrcnn.viz.label_maps import class_shares, name_classes, save_label_map, tint_classes

NAMES = ("road", "tree")
MAP = np.array([[0, 0, 2], [1, 2, 2]], np.uint8)


def test_only_pixels_of_classes_are_tinted() -> None:
    image = np.full((2, 3, 3), 100, np.uint8)
    tinted = tint_classes(image, MAP, len(NAMES))
    assert (image == 100).all() and (tinted[MAP == 2] == 100).all()
    for label in (0, 1):
        expected = np.rint(100 * 0.55 + 0.45 * np.array(instance_colour(label)))
        assert (tinted[label == MAP] == expected).all()


def test_names_stand_on_the_picture_and_background_has_none() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    full = MAP.repeat(100, axis=0).repeat(100, axis=1)
    named = name_classes(picture, full, NAMES)
    assert named.shape == picture.shape and named.any()
    assert not name_classes(picture, np.full_like(full, 2), NAMES).any()
    assert name_classes(np.zeros((400, 600, 3), np.uint8), full, NAMES).any(), "enlarged by two"


@pytest.mark.parametrize("num_classes", [2, 254])
def test_a_file_holds_the_classes_and_a_palette(num_classes: int, tmp_path: Path) -> None:
    path = tmp_path / "new" / "map.png"
    save_label_map(path, MAP, num_classes)
    with Image.open(path) as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), MAP)
        palette = np.array(image.getpalette()).reshape(-1, 3)
    assert palette[1].tolist() == list(instance_colour(1))
    assert num_classes != 2 or palette[2].tolist() == [0, 0, 0]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"map\.png"):
        save_label_map(tmp_path / "file" / "map.png", MAP, 2)


def test_shares_are_of_all_pixels() -> None:
    assert class_shares(MAP, NAMES) == {"road": 2 / 6, "tree": 1 / 6}
    assert class_shares(np.full((2, 2), 2, np.uint8), NAMES) == {}
