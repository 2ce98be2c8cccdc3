from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from maskrcnn.data.geometry import View, resize

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
WHOLE = View.whole((4, 6))
ORIENTATIONS = list(itertools.product((False, True), repeat=3))


def view_of(window: tuple[int, int, int, int], size: tuple[int, int], orientation: tuple[bool, bool, bool]) -> View:
    return View(window, size, *orientation)


# --- images -----------------------------------------------------------------------------------------------------


def test_whole_view_changes_nothing() -> None:
    np.testing.assert_array_equal(WHOLE.image(PIXELS), PIXELS)
    np.testing.assert_array_equal(WHOLE.matrix, [[1, 0, 0], [0, 1, 0]])


def test_flips_mirror_the_image() -> None:
    np.testing.assert_array_equal(WHOLE.flip(horizontal=True).image(PIXELS), PIXELS[:, ::-1])
    np.testing.assert_array_equal(WHOLE.flip(vertical=True).image(PIXELS), PIXELS[::-1])


@pytest.mark.parametrize("size", [(2, 3), (8, 12), (4, 3)])
@pytest.mark.parametrize("channels", [1, 2, 4, 5, 130])
def test_any_number_of_channels_is_resized_as_each_alone(channels: int, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, channels), dtype=np.uint8)
    resized = resize(pixels, size)
    assert resized.shape == (*size, channels)
    alone = np.stack([resize(np.repeat(pixels[:, :, c : c + 1], 3, axis=2), size)[..., 0] for c in range(channels)], 2)
    assert np.abs(resized.astype(int) - alone).max() <= 1  # OpenCV rounds otherwise for other numbers of channels


@pytest.mark.parametrize("quarters", range(-1, 6))
def test_turns_are_those_of_rot90(quarters: int) -> None:
    np.testing.assert_array_equal(WHOLE.turn(quarters).image(PIXELS), np.rot90(PIXELS, quarters))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turns_and_flips_compose_in_any_order(orientation: tuple[bool, bool, bool]) -> None:
    start = view_of((0, 0, 6, 4), (4, 6), orientation)
    seen = start.image(PIXELS)
    np.testing.assert_array_equal(start.turn(1).image(PIXELS), np.rot90(seen))
    np.testing.assert_array_equal(start.flip(horizontal=True).image(PIXELS), seen[:, ::-1])
    np.testing.assert_array_equal(start.flip(vertical=True).turn(1).image(PIXELS), np.rot90(seen[::-1]))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_mirrored_is_what_a_turn_cannot_undo(orientation: tuple[bool, bool, bool]) -> None:
    view = view_of((0, 0, 6, 4), (4, 6), orientation)
    turned = [np.rot90(PIXELS, quarters) for quarters in range(4)]
    assert view.mirrored == (not any(np.array_equal(view.image(PIXELS), picture) for picture in turned))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_flip_twice_and_four_turns_are_nothing(orientation: tuple[bool, bool, bool]) -> None:
    start = view_of((0, 0, 6, 4), (4, 6), orientation)
    assert start.flip(horizontal=True).flip(horizontal=True) == start
    assert start.flip(vertical=True).flip(vertical=True) == start
    assert start.turn(1).turn(1).turn(1).turn(1) == start.turn(4) == start


def test_crop() -> None:
    np.testing.assert_array_equal(View((1, 2, 5, 4), (2, 4)).image(PIXELS), PIXELS[2:4, 1:5])


@pytest.mark.parametrize(("size", "antialias"), [((9, 13), True), ((2, 3), True), ((2, 3), False)])
def test_resize(size: tuple[int, int], antialias: bool) -> None:
    interpolation = cv2.INTER_AREA if size < (4, 6) and antialias else cv2.INTER_LINEAR
    np.testing.assert_array_equal(
        resize(PIXELS, size, antialias), cv2.resize(PIXELS, size[::-1], interpolation=interpolation)
    )


def test_shrinking_averages() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resize(stripes, (2, 2)) == 100).all()


# --- points and boxes -------------------------------------------------------------------------------------------


def test_points_by_hand() -> None:
    """Window x 10..30, y 20..60 becomes 10 wide, 80 high: x scale 0.5, y scale 2; then transposed, then mirrored."""
    view = View((10, 20, 30, 60), (80, 10), transposed=True, flipped_x=True)
    # (14, 21) -> (2, 2) -> transposed (2, 2) in an 80 wide, 10 high picture -> mirrored (78, 2)
    np.testing.assert_allclose(view.points(np.array([[14.0, 21.0]])), [[78, 2]])
    np.testing.assert_allclose(view.boxes(np.array([[14.0, 21.0, 18.0, 31.0]])), [[58, 2, 78, 4]])
    assert view.output_size == (10, 80)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("size", [(4, 6), (8, 12), (2, 3)])
def test_points_go_where_the_pixels_go(size: tuple[int, int], orientation: tuple[bool, bool, bool]) -> None:
    """A picture whose two channels are the pixel centres' own x and y."""
    x, y = np.meshgrid(np.arange(6) + 0.5, np.arange(4) + 0.5)
    field = np.rint(np.stack([x, y, y], axis=2) * 40).astype(np.uint8)
    view = view_of((0, 0, 6, 4), size, orientation)
    seen = view.image(field)
    centre = np.array([[2.5, 1.5]])
    (u, v) = view.points(np.array([[3.0, 2.0]]))[0]  # the middle of the picture stays in the middle
    assert (u, v) == (view.output_size[1] / 2, view.output_size[0] / 2)
    if size == (4, 6):
        (u, v) = view.points(centre)[0]
        assert seen[int(v), int(u), :2].tolist() == [100, 60]


def test_boxes_keep_their_corners_in_order() -> None:
    boxes = np.array([[1.0, 0.5, 2.0, 3.5]])
    for orientation in ORIENTATIONS:
        x1, y1, x2, y2 = view_of((0, 0, 6, 4), (8, 12), orientation).boxes(boxes)[0]
        assert x1 < x2 and y1 < y2 and (x2 - x1) * (y2 - y1) == pytest.approx(4 * 3.0)


def test_no_boxes() -> None:
    assert WHOLE.boxes(np.zeros((0, 4), np.float32)).shape == (0, 4)


# --- bitmaps ----------------------------------------------------------------------------------------------------


def in_frame(crop: np.ndarray, window: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    frame = np.zeros(size, np.uint8)
    x1, y1, x2, y2 = window
    assert crop.shape == (y2 - y1, x2 - x1) and 0 <= x1 <= x2 <= size[1] and 0 <= y1 <= y2 <= size[0]
    frame[y1:y2, x1:x2] = crop
    return frame


def half_covered(frame: np.ndarray, view: View, fine: int = 60) -> np.ndarray:
    """The definition by sampling: in each output pixel, `fine` x `fine` points; at least half of them in the mask."""
    x1, y1, x2, y2 = view.window
    height, width = view.size
    ys = y1 + (np.arange(height * fine) + 0.5) / fine * (y2 - y1) / height
    xs = x1 + (np.arange(width * fine) + 0.5) / fine * (x2 - x1) / width
    samples = frame[np.ix_(ys.astype(int), xs.astype(int))].astype(float)
    share = samples.reshape(height, fine, width, fine).mean(axis=(1, 3))
    seen = (share >= 0.5 - 1e-9).astype(np.uint8)
    if view.transposed:
        seen = seen.T
    return seen[:: -1 if view.flipped_y else 1, :: -1 if view.flipped_x else 1]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("size", [(10, 12), (20, 24), (15, 18), (5, 6), (4, 3), (30, 5)])
def test_bitmaps_follow_the_definition(size: tuple[int, int], orientation: tuple[bool, bool, bool]) -> None:
    generator = np.random.default_rng(1)
    view = view_of((1, 2, 13, 12), size, orientation)
    for _ in range(5):
        x1, y1 = generator.integers(1, 8), generator.integers(2, 8)
        window = (int(x1), int(y1), int(x1 + generator.integers(1, 6)), int(y1 + generator.integers(1, 5)))
        crop = generator.integers(0, 2, (window[3] - window[1], window[2] - window[0]), dtype=np.uint8)
        seen = in_frame(*view.bitmap(crop, window), view.output_size)
        np.testing.assert_array_equal(seen, half_covered(in_frame(crop, window, (14, 15)), view))


def test_enlarging_by_two_doubles_every_pixel() -> None:
    crop = np.array([[1, 0], [1, 1]], np.uint8)
    seen, window = View.whole((4, 4), (8, 8)).bitmap(crop, (1, 2, 3, 4))
    np.testing.assert_array_equal(seen, np.kron(crop, np.ones((2, 2), np.uint8)))
    assert window == (2, 4, 6, 8)


def test_half_a_pixel_counts() -> None:
    seen, window = View.whole((2, 4), (1, 2)).bitmap(np.ones((1, 2), np.uint8), (0, 0, 2, 1))
    assert seen.tolist() == [[1]] and window == (0, 0, 1, 1)
    seen, _ = View.whole((2, 4), (1, 2)).bitmap(np.ones((1, 1), np.uint8), (0, 0, 1, 1))
    assert seen.tolist() == [[0]]
