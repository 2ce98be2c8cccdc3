from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from maskrcnn.data.coco_masks import mask_box
from maskrcnn.data.geometry import View
from maskrcnn.data.targets import draw_keypoints, draw_mask, draw_targets
from maskrcnn.masks.rle import encode_rle
from maskrcnn.structures import RLE, KeypointSchema, Polygons, Targets
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder

SIZE = (40, 50)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> Polygons:
    return Polygons((np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64),))


def rle_of(mask: Polygons) -> RLE:
    return encode_rle(draw_full(mask))


def draw_full(mask: Polygons | RLE, size: tuple[int, int] = SIZE) -> np.ndarray:
    frame = np.zeros(size, np.uint8)
    drawn = draw_mask(mask, View.whole(size))
    x1, y1, x2, y2 = drawn.window
    frame[y1:y2, x1:x2] = drawn.crop
    return frame


def store_of(*objects: tuple[Any, ...], size: tuple[int, int] = SIZE) -> LabelStore:
    """A store with one image of objects (box, mask, ignore, keypoints), of which the last two may be missing.

    They are labelled 0, 1, 2, ...
    """
    builder = StoreBuilder()
    entries = [
        ObjectEntry(label, label, box, mask, *(rest or [False])) for label, (box, mask, *rest) in enumerate(objects)
    ]
    builder.add_image(ImageEntry(1, "1.png", size), entries)
    return builder.build()


def boxed(x1: float, y1: float, x2: float, y2: float) -> tuple[Any, Any]:
    return (x1, y1, x2, y2), rectangle(x1, y1, x2, y2)


# --- what is seen of one object ---------------------------------------------------------------------------------


def test_unchanged_view_gives_the_labels_as_they_are() -> None:
    targets = draw_targets(store_of(boxed(3, 4, 10, 12)), 0, View.whole(SIZE))
    assert targets.boxes.tolist() == [[3, 4, 10, 12]] and targets.labels.tolist() == [0]
    assert targets.boxes.dtype == torch.float32 and targets.labels.dtype == torch.int64
    assert targets.masks is not None and targets.masks.image_size == SIZE
    assert targets.masks.windows.tolist() == [[3, 4, 10, 12]] and targets.masks.crops().crop(0).all()


def test_stated_box_of_a_whole_object_is_kept() -> None:
    targets = draw_targets(store_of(((3.25, 4.5, 9.75, 12), rectangle(3.25, 4.5, 9.75, 12))), 0, View.whole(SIZE))
    assert targets.boxes.tolist() == [[3.25, 4.5, 9.75, 12]]


@pytest.mark.parametrize("as_rle", [False, True])
def test_scaled_cropped_and_turned_by_hand(as_rle: bool) -> None:
    """Window x 0..20, y 0..20 twice as large, then turned by 90 degrees counter-clockwise: (x, y) -> (y, 40 - x)."""
    mask = rectangle(4, 6, 10, 16)
    labels = store_of(((4, 6, 10, 16), rle_of(mask) if as_rle else mask))
    targets = draw_targets(labels, 0, View((0, 0, 20, 20), (40, 40)).turn(1))
    assert targets.boxes.tolist() == [[12, 20, 32, 32]]
    assert targets.masks is not None and targets.masks.windows.tolist() == [[12, 20, 32, 32]]
    assert targets.masks.crops().crop(0).all()


@pytest.mark.parametrize("as_rle", [False, True])
def test_cut_object_gets_the_box_of_what_is_left(as_rle: bool) -> None:
    """A triangle whose tip lies in the window: its box must shrink in both directions."""
    triangle = Polygons((np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]]),))
    labels = store_of(((0, 0, 20, 20), rle_of(triangle) if as_rle else triangle))
    targets = draw_targets(labels, 0, View((10, 0, 50, 40), (40, 40)))
    assert targets.boxes[0].tolist() == pytest.approx([0, 0, 10, 10], abs=1)
    assert targets.masks is not None and targets.masks.windows.tolist() == targets.boxes.tolist()


def test_object_whose_box_but_not_mask_is_in_the_window_is_dropped() -> None:
    triangle = Polygons((np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]]),))
    assert len(draw_targets(store_of(((0, 0, 20, 20), triangle)), 0, View((12, 12, 50, 40), (28, 38)))) == 0


@pytest.mark.parametrize(("left_over", "kept"), [(1, False), (2, True)])
def test_slivers_are_dropped(left_over: int, kept: bool) -> None:
    window = (10 - left_over, 0, 50, 40)
    targets = draw_targets(store_of(boxed(0, 5, 10, 15)), 0, View(window, (40, 50 - window[0])))
    assert len(targets) == kept


def test_one_pixel_objects_are_no_slivers() -> None:
    targets = draw_targets(store_of(boxed(0, 5, 1, 6), boxed(49, 39, 50, 40)), 0, View.whole(SIZE))
    assert targets.boxes.tolist() == [[0, 5, 1, 6], [49, 39, 50, 40]]


def test_object_that_shrinks_to_nothing_is_dropped() -> None:
    labels = store_of(((7, 7, 8, 8), rle_of(rectangle(7, 7, 8, 8))), boxed(0, 0, 20, 20))
    assert draw_targets(labels, 0, View.whole(SIZE, (10, 12))).labels.tolist() == [1]


def test_ignored_objects_become_crowd_boxes() -> None:
    box, mask = boxed(0, 0, 20, 20)
    labels = store_of((box, mask, True), boxed(3, 4, 10, 12), ((30, 30, 40, 40), None, True))
    targets = draw_targets(labels, 0, View((10, 0, 50, 40), (40, 40)))
    assert targets.crowd_boxes.tolist() == [[0, 0, 10, 20], [20, 30, 30, 40]]
    assert len(targets) == 0, "the object is cut off, and its crowd is not it"
    targets = draw_targets(labels, 0, View((0, 0, 20, 20), (20, 20)))
    assert targets.labels.tolist() == [1] and targets.crowd_boxes.tolist() == [[0, 0, 20, 20]]


def test_objects_known_by_their_boxes() -> None:
    """Cut at the border, a box is what is left of it; there are no masks."""
    labels = store_of(((10, 10, 20, 30), None), boxed(0, 0, 5, 5), ((0, 0, 11, 9), None))
    targets = draw_targets(labels, 0, View.whole(SIZE))
    assert targets.boxes.tolist() == [[10, 10, 20, 30], [0, 0, 5, 5], [0, 0, 11, 9]] and targets.masks is None
    targets = draw_targets(labels, 0, View((10, 15, 50, 40), (50, 80)))
    assert targets.boxes.tolist() == [[0, 0, 20, 30]] and targets.labels.tolist() == [0]
    sliver = draw_targets(labels, 0, View((10, 0, 50, 40), (40, 40)))
    assert sliver.boxes.tolist() == [[0, 10, 10, 30]], "one pixel of the third object is left"


def test_image_without_objects() -> None:
    targets = draw_targets(store_of(), 0, View.whole(SIZE, (80, 100)))
    assert len(targets) == 0 and targets.boxes.shape == (0, 4) and targets.crowd_boxes.shape == (0, 4)
    assert targets.masks is not None and targets.masks.image_size == (80, 100)
    assert targets.labels.dtype == torch.int64


# --- image, boxes and masks move together -----------------------------------------------------------------------

ORIENTATIONS = list(itertools.product((False, True), repeat=3))
SHAPES = [
    rectangle(3, 4, 17, 13),
    Polygons((np.array([[20.0, 5.0], [45.0, 12.0], [31.0, 30.0]]),)),
    Polygons((np.array([[5.0, 20.0], [12.0, 20.0], [12.0, 36.0], [5.0, 36.0]]), rectangle(15, 22, 25, 34).rings[0])),
]
VIEWS = {
    "whole": View.whole(SIZE),
    "enlarged": View.whole(SIZE, (80, 100)),
    "by an odd factor": View.whole(SIZE, (57, 71)),
    "shrunk": View.whole(SIZE, (20, 25)),
    "cropped": View((6, 3, 40, 33), (30, 34)),
    "cropped and enlarged": View((6, 3, 40, 33), (67, 76)),
}


def tight(targets: Targets) -> np.ndarray:
    assert targets.masks is not None
    return targets.masks.windows.numpy()


@pytest.mark.parametrize("as_rle", [False, True], ids=["polygons", "rle"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", VIEWS)
def test_box_of_the_seen_mask_is_the_seen_box(name: str, orientation: tuple[bool, bool, bool], as_rle: bool) -> None:
    base = VIEWS[name]
    view = View(base.window, base.size, *orientation)
    objects = []
    for shape in SHAPES:
        mask = rle_of(shape) if as_rle else shape
        objects.append((mask_box(mask), mask))
    targets = draw_targets(store_of(*objects), 0, view)
    assert targets.labels.tolist() == [0, 1, 2]
    assert np.abs(tight(targets) - targets.boxes.numpy()).max() <= 1.0
    height, width = view.output_size
    assert (targets.boxes >= 0).all() and (targets.boxes <= torch.tensor([width, height, width, height])).all()
    assert targets.masks is not None and targets.masks.bitmaps().shape == (3, height, width)


@pytest.mark.parametrize("as_rle", [False, True], ids=["polygons", "rle"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", VIEWS)
def test_mask_lies_on_what_the_image_shows(name: str, orientation: tuple[bool, bool, bool], as_rle: bool) -> None:
    """The picture of a bright shape, seen through the view and cut at half brightness, is the mask again."""
    base = VIEWS[name]
    view = View(base.window, base.size, *orientation)
    for shape in SHAPES:
        seen = view.image(np.repeat(draw_full(shape)[..., None] * 255, 3, axis=2))[..., 0] >= 128
        drawn = draw_mask(rle_of(shape) if as_rle else shape, view)
        mask = np.zeros(view.output_size, bool)
        x1, y1, x2, y2 = drawn.window
        mask[y1:y2, x1:x2] = drawn.crop
        overlap = (mask & seen).sum() / (mask | seen).sum()
        # COCO's rule for polygons decides ties at pixel centres by direction, so mirrored ones differ at the edge.
        assert overlap >= (0.86 if as_rle else 0.7) and (overlap == 1.0 or not as_rle or view.size != SIZE)


def test_turning_four_times_and_flipping_twice_give_the_same_mask() -> None:
    for shape in SHAPES:
        expected = draw_full(shape)
        rle = encode_rle(expected)
        for view in (View.whole(SIZE).turn(2).turn(2), View.whole(SIZE).flip(horizontal=True).flip(horizontal=True)):
            x1, y1, x2, y2 = draw_mask(rle, view).window
            np.testing.assert_array_equal(draw_mask(rle, view).crop, expected[y1:y2, x1:x2])


@pytest.mark.parametrize("quarters", range(4))
def test_turned_rle_is_the_turned_bitmap(quarters: int) -> None:
    bitmap = (np.random.default_rng(0).random(SIZE) < 0.3).astype(np.uint8)
    view = View.whole(SIZE).turn(quarters)
    drawn = draw_mask(encode_rle(bitmap), view)
    full = np.zeros(view.output_size, np.uint8)
    x1, y1, x2, y2 = drawn.window
    full[y1:y2, x1:x2] = drawn.crop
    np.testing.assert_array_equal(full, np.rot90(bitmap, quarters))


# --- keypoints --------------------------------------------------------------------------------------------------

FACE = KeypointSchema(("nose", "left_eye", "right_eye"))
POINTS = np.array([[10.0, 20.0, 2.0], [4.0, 15.0, 1.0], [16.0, 15.0, 2.0]])


def face(points: np.ndarray | None = POINTS) -> tuple[Any, ...]:
    return (*boxed(0, 10, 20, 30), False, points)


def test_keypoints_are_drawn_only_when_asked_for() -> None:
    assert draw_targets(store_of(face()), 0, View.whole(SIZE)).keypoints is None


def test_keypoints_of_an_unchanged_view() -> None:
    targets = draw_targets(store_of(face(), face(None)), 0, View.whole(SIZE), FACE)
    assert targets.keypoints is not None and targets.keypoints.dtype == torch.float32
    assert targets.keypoints.tolist() == [POINTS.tolist(), [[0, 0, 0]] * 3]


def test_keypoints_of_dropped_objects_are_dropped() -> None:
    crowd = (*boxed(0, 0, 9, 9), True)
    targets = draw_targets(store_of(crowd, boxed(0, 0, 5, 5), face()), 0, View((0, 6, 50, 40), (34, 50)), FACE)
    assert targets.labels.tolist() == [2] and targets.keypoints is not None and targets.keypoints.shape == (1, 3, 3)
    nothing = draw_targets(store_of(crowd), 0, View.whole(SIZE), FACE)
    assert nothing.keypoints is not None and nothing.keypoints.shape == (0, 3, 3)


def test_keypoints_outside_the_crop_are_not_labelled() -> None:
    """Seen are x 5..25, y 5..45, twice as large: the left eye, at x = 4, is cut off."""
    targets = draw_targets(store_of(face()), 0, View((5, 5, 25, 40), (70, 40)), FACE)
    assert targets.keypoints is not None
    assert targets.keypoints.tolist() == [[[10, 30, 2], [0, 0, 0], [22, 20, 2]]]


def test_left_is_right_in_a_mirror() -> None:
    targets = draw_targets(store_of(face()), 0, View.whole(SIZE).flip(horizontal=True), FACE)
    assert targets.keypoints is not None
    assert targets.keypoints.tolist() == [[[40, 20, 2], [34, 15, 2], [46, 15, 1]]]
    twice = View.whole(SIZE).flip(horizontal=True).flip(vertical=True)  # a half turn: left stays left
    targets = draw_targets(store_of(face()), 0, twice, FACE)
    assert targets.keypoints is not None
    assert targets.keypoints.tolist() == [[[40, 20, 2], [46, 25, 1], [34, 25, 2]]]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", VIEWS)
def test_keypoints_lie_on_what_the_image_shows(name: str, orientation: tuple[bool, bool, bool]) -> None:
    """Three bright blobs of unlike brightness, seen through the view: each keypoint finds its own, or its twin's."""
    base = VIEWS[name]
    view = View(base.window, base.size, *orientation)
    picture, values = np.zeros((*SIZE, 3), np.uint8), np.array([80, 160, 240])
    points = np.array([[20.0, 10.0, 2], [12.0, 25.0, 2], [32.0, 24.0, 2]])
    for (x, y, _), value in zip(points.astype(int), values, strict=True):
        picture[y - 4 : y + 4, x - 4 : x + 4] = value
    (keypoints,) = draw_keypoints(store_of(face(points)), [0], view, FACE)
    expected = values[[0, 2, 1]] if view.mirrored else values
    seen = view.image(picture)[..., 0]
    assert [int(seen[int(y), int(x)]) for x, y, _ in keypoints.tolist()] == pytest.approx(expected.tolist(), abs=2)
