"""Names of images found again by names that start at another folder."""

from __future__ import annotations

import pytest

from maskrcnn.structures.image_names import ImageNames


@pytest.mark.parametrize("folder", ["images/", "images\\", "./images/", ".\\images\\"])
@pytest.mark.parametrize("in_front", ["", "./", "/data/", "C:\\data\\", "/data/./"])
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_paths_of_every_system_mean_the_same(folder: str, in_front: str, separator: str) -> None:
    names = ImageNames([f"{folder}{name}.png" for name in "ab"])
    stated = [f"{in_front}images{separator}{name}.png" for name in "ab"]
    assert names.find_all(stated) == dict(zip(stated, [(0,), (1,)], strict=True))


@pytest.mark.parametrize(
    ("stated", "places"),
    [
        ("b.png", {0, 1}),
        ("B.PNG", {0, 1}),
        ("b.tif", {0, 1}),
        ("x/c.png", {2, 3}),  # the labels have it twice
        ("d.png", {4}),
        ("D.png", {5}),
        ("d.tif", {5}),  # whose whole name it is but for the kind of picture
        ("left", set()),
    ],
)
def test_an_end_of_several_names_may_mean_each_of_them(stated: str, places: set[int]) -> None:
    names = ImageNames(["left/b.png", "right/b.png", "c.png", "c.png", "x/y/d.png", "D.png"])
    assert set(names.find_all([stated])[stated]) == places


def test_an_end_that_several_images_have_is_no_other_image_spelled_otherwise() -> None:
    assert set(ImageNames(["left/b.png", "right/b.png", "B.png"]).find_all(["b.png"])["b.png"]) == {0, 1}
