from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.errors import UserError
from maskrcnn.structures import MaskCrops
from maskrcnn.structures.masks import ByteArray, Float32Array
from maskrcnn.viz.colours import instance_colour
from maskrcnn.viz.drawing import Drawing
from maskrcnn.viz.overlay import CROWDED, draw_overlay, save_picture


def grey(height: int = 900, width: int = 1000) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def squares(boxes: list[tuple[int, int, int, int]], size: tuple[int, int]) -> tuple[MaskCrops, Float32Array]:
    """Objects that fill their boxes (x1, y1, x2, y2, whole pixels)."""
    masks = MaskCrops.from_crops([np.ones((y2 - y1, x2 - x1)) for x1, y1, x2, y2 in boxes], boxes, size)
    return masks, np.array(boxes, np.float32).reshape(-1, 4)


def draw(
    image: np.ndarray,
    boxes: list[tuple[int, int, int, int]],
    names: tuple[str] = ("cell",),
    scores: bool = True,
    masks: bool = True,
) -> np.ndarray:
    crops, corners = squares(boxes, image.shape[:2])
    labels = np.arange(len(boxes)) % len(names)
    return draw_overlay(
        image, crops if masks else None, corners, labels, np.full(len(boxes), 0.5) if scores else None, names
    )


def is_colour(picture: np.ndarray, colour: np.ndarray | tuple[int, int, int]) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour) <= 3).all(axis=2)


def test_inside_is_blended_outside_untouched_and_the_border_drawn() -> None:
    image = grey()
    picture = draw(image, [(200, 300, 500, 600)])
    colour = np.array(instance_colour(0))
    np.testing.assert_allclose(picture[450, 350], 0.7 * 90 + 0.3 * colour, atol=1)
    assert is_colour(picture, colour)[300:600, 200].all() and is_colour(picture, colour)[599, 200:500].all()
    assert (picture[650:] == 90).all() and (picture[:, 550:] == 90).all() and (picture[:, :190] == 90).all()
    assert (image == 90).all()


def test_a_hole_is_outlined_and_not_filled() -> None:
    crop = np.ones((300, 300), np.uint8)
    crop[100:200, 100:200] = 0
    masks = MaskCrops.from_crops([crop], [(200, 300, 500, 600)], (900, 1000))
    picture = draw_overlay(grey(), masks, np.array([[200.0, 300, 500, 600]]), np.array([0]), None, ("cell",))
    assert (picture[450, 350] == 90).all()
    assert is_colour(picture, instance_colour(0))[450, 299]


def test_small_objects_lie_on_top_of_large_ones() -> None:
    picture = draw(grey(), [(400, 400, 500, 500), (100, 100, 800, 800)])
    colour = instance_colour(0)
    assert is_colour(picture, colour)[450, 400] and is_colour(picture, colour)[450, 499]


class OneAtATime:
    """Masks of squares that must not be kept."""

    def __init__(self, boxes: list[tuple[int, int, int, int]]) -> None:
        self.windows = np.array(boxes)
        self.given = []

    def crop(self, index: int) -> ByteArray:
        assert all(reference() is None for reference in self.given), "an earlier mask is still held"
        x1, y1, x2, y2 = self.windows[index].tolist()
        bitmap = np.ones((y2 - y1, x2 - x1), np.uint8)
        self.given.append(weakref.ref(bitmap))
        return bitmap


@pytest.mark.parametrize("size", [(900, 1000), (225, 250)], ids=["as it is", "enlarged"])
def test_masks_are_held_one_at_a_time(size: tuple[int, int]) -> None:
    boxes = [(10 * i, 20 * i, 10 * i + 40, 20 * i + 30) for i in range(9)]
    _, corners = squares(boxes, size)
    masks = OneAtATime(boxes)
    picture = draw_overlay(grey(*size), masks, corners, np.zeros(9, np.int64), None, ("cell",))
    assert len(masks.given) >= 9
    np.testing.assert_array_equal(picture, draw(grey(*size), boxes, scores=False))


def test_names_and_scores_change_the_label() -> None:
    box = [(200, 300, 500, 600)]
    one, other = draw(grey(), box, ("cell",)), draw(grey(), box, ("nerve",))
    assert (one[250:300] != other[250:300]).any() and (one[305:] == other[305:]).all()
    assert (one != draw(grey(), box, ("cell",), scores=False)).any()


def test_small_images_are_enlarged_with_their_objects() -> None:
    picture = draw(np.full((200, 256, 3), 90, np.uint8), [(50, 60, 100, 120)])
    assert picture.shape == (800, 1024, 3)
    colour = np.array(instance_colour(0))
    np.testing.assert_allclose(picture[360, 300], 0.7 * 90 + 0.3 * colour, atol=1)
    assert is_colour(picture, colour)[300:420, 199:202].any(axis=1).all()
    assert (picture[500:] == 90).all() and (picture[:, 420:] == 90).all()


def test_large_images_have_thick_lines() -> None:
    def line_width(picture: np.ndarray) -> int:
        row = is_colour(picture, instance_colour(0))[picture.shape[0] // 2]
        return row[: picture.shape[1] // 2].sum()

    small = draw(grey(200, 1000), [(200, 50, 800, 150)])
    large = draw(grey(200, 4000), [(800, 50, 3200, 150)])
    assert line_width(large) >= 3 * line_width(small)


def test_a_crowd_gets_thin_outlines_only() -> None:
    boxes = [(20 * (i % 40), 20 * (i // 40), 20 * (i % 40) + 15, 20 * (i // 40) + 15) for i in range(CROWDED + 1)]
    picture = draw(grey(), boxes)
    assert (picture[7, 7] == 90).all()  # no fill
    changed = (picture != 90).any(axis=2)
    assert not changed[60:].any() and changed[:15, 0].all()  # no text below


def test_objects_without_mask_are_drawn_as_boxes() -> None:
    for picture in (
        draw(grey(), [(200, 300, 500, 600)], masks=False),
        draw_overlay(
            grey(),
            MaskCrops.from_bitmaps(np.zeros((1, 900, 1000))),
            np.array([[200.0, 300, 500, 600]]),
            np.array([0]),
            None,
            ("cell",),
        ),
    ):
        assert is_colour(picture, instance_colour(0))[300:600, 200].all()
        assert (picture[450, 350] == 90).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, -1e30])
def test_wild_boxes_do_no_harm(value: float) -> None:
    boxes = np.array([[value, value, 50.0, 50.0], [0.0, 0.0, value, value]])
    picture = draw_overlay(grey(), None, boxes, np.array([0, 0]), np.ones(2), ("cell",))
    assert picture.shape == (900, 1000, 3)


def test_nothing_found_leaves_the_image_as_it_is() -> None:
    np.testing.assert_array_equal(draw(grey(), []), grey())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".WEBP"])
def test_pictures_are_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"overlay{suffix}"
    save_picture(path, draw(grey(), [(200, 300, 500, 600)]))
    with Image.open(path) as image:
        assert image.size == (1000, 900) and image.mode == "RGB"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_png_pictures_are_exact(tmp_path: Path) -> None:
    picture = draw(grey(), [(200, 300, 500, 600)])
    save_picture(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)


@pytest.mark.parametrize("name", ["overlay", "overlay.xyz", "overlay.txt", "overlay.psd"])
def test_an_unknown_format_is_a_user_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"overlay.*expected a name ending in"):
        save_picture(tmp_path / name, grey())


def test_a_place_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        save_picture(tmp_path / "file" / "a.png", grey())


def test_several_classes_have_a_colour_each_and_a_legend() -> None:
    boxes = [(100, 300, 300, 600), (400, 300, 600, 600), (700, 300, 900, 600)]
    picture = draw(grey(), boxes, ("cat", "dog"))  # cat, dog, cat
    cat, dog = np.array(instance_colour(0)), np.array(instance_colour(1))
    for column, colour in ((200, cat), (500, dog), (800, cat)):
        np.testing.assert_allclose(picture[450, column], 0.7 * 90 + 0.3 * colour, atol=1)
    corner = picture[:100, :200]
    assert is_colour(corner, cat).any() and is_colour(corner, dog).any()
    only_cats = draw(grey(), boxes[:1], ("cat", "dog"))[:100, :200]
    assert is_colour(only_cats, cat).any() and not is_colour(only_cats, dog).any()


def test_a_crowd_of_several_classes_keeps_fills_and_legend() -> None:
    boxes = [(20 * (i % 40) + 150, 20 * (i // 40) + 100, 20 * (i % 40) + 165, 20 * (i // 40) + 115) for i in range(50)]
    picture = draw(grey(), boxes, ("cat", "dog"))
    np.testing.assert_allclose(picture[107, 157], 0.7 * 90 + 0.3 * np.array(instance_colour(0)), atol=1)
    assert is_colour(picture[:100, :150], instance_colour(1)).any()


def test_parts_width_and_size_can_be_chosen() -> None:
    image, (masks, boxes) = grey(), squares([(200, 300, 500, 600)], (900, 1000))

    def drawn(*parts: str, **options: int) -> np.ndarray:
        return draw_overlay(
            image, masks, boxes, np.array([0]), np.ones(1), ("cell",), drawing=Drawing(parts, **options)
        )

    assert (drawn("boxes")[450, 350] == 90).all() and (drawn("masks")[450, 350] != 90).any()
    assert (drawn("masks")[:290] == 90).all() and (drawn("labels", "masks")[:290] != 90).any()
    assert is_colour(drawn("masks", line_width=9), instance_colour(0))[450, 197:204].all()
    assert drawn("masks", longest_side=250).shape == (225, 250, 3)
    with pytest.raises(UserError, match="draw mask: expected some of boxes, labels, masks"):
        Drawing(("mask",))


def test_steps_become_slopes() -> None:
    """A diagonal edge of pixels is drawn as one line: of few points, no more than a pixel away."""
    crop = np.tri(200, 200, dtype=np.uint8)
    masks = MaskCrops.from_crops([crop], [(300, 300, 500, 500)], (900, 1000))
    black = np.zeros((900, 1000, 3), np.uint8)
    picture = draw_overlay(black, masks, np.array([[300.0, 300, 500, 500]]), np.array([0]), None, ("cell",))
    along = [picture[300 + i, 300 + i].astype(int) for i in range(20, 180)]
    assert max(np.abs(one - along[0]).max() for one in along) <= 2, "evenly along the diagonal"
