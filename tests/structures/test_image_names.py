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
    assert names.find_all(stated) == dict(zip(stated, (0, 1), strict=True))
