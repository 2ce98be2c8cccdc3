from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from maskrcnn.config import Augmentation
from maskrcnn.data.copy_paste import draw_shift, paste, visible
from maskrcnn.data.dataset import Sample
from maskrcnn.structures import PackedMasks, Targets

ALL = Augmentation(copy_paste=1.0, paste_fraction=1.0)
FRAME = (6, 8)


def bitmaps(*drawings: str) -> np.ndarray:
    """(G, H, W) masks as drawn: a line each row, # for a pixel."""
    return np.array([[[c == "#" for c in row] for row in drawing.split()] for drawing in drawings], np.uint8)


def rectangles(*boxes: tuple[int, int, int, int], frame: tuple[int, int] = FRAME) -> np.ndarray:
    masks = np.zeros((len(boxes), *frame), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    return masks


def sample_of(masks: np.ndarray, value: int, labels: list[int] | None = None, **more: torch.Tensor) -> Sample:
    """An image of one grey value, with objects of these masks."""
    packed = PackedMasks.from_bitmaps(torch.from_numpy(masks))
    numbers = torch.tensor(range(len(masks)) if labels is None else labels, dtype=torch.int64)
    targets = Targets(packed.windows.float(), numbers, packed, **more)
    size = (masks.shape[1], masks.shape[2])
    return Sample(torch.full((3, *size), value, dtype=torch.uint8), targets, value, f"{value}.png", size)


def pasted(below: Sample, above: Sample, augmentation: Augmentation = ALL, seed: int = 0) -> Sample:
    return paste(below, above, augmentation, np.random.default_rng(seed))


def masks_of(targets: Targets) -> np.ndarray:
    assert targets.masks is not None
    return targets.masks.bitmaps().numpy()


# --- by hand ----------------------------------------------------------------------------------------------------


def test_a_paste_by_hand() -> None:
    """One object is half hidden, one wholly, one not at all, and of one a sliver is left."""
    below = sample_of(
        bitmaps(
            "####.... ####.... ####.... ........ ........ ........",  # 12 pixels, of which columns 2 and 3 are hidden
            "........ ........ ..###... ........ ........ ........",  # in the pasted object
            ".......# .......# .......# ........ ........ ........",  # elsewhere
            "........ ........ ........ ..####.. ..####.. ........",  # 8 pixels, of which two are left, in one column
        ),
        value=10,
        crowd_boxes=torch.tensor([[0.5, 4.5, 8.0, 6.0], [3.0, 0.0, 5.0, 3.0], [0.0, 0.0, 4.0, 2.5]]),
    )
    above = sample_of(bitmaps("..####.. ..####.. ..####.. ..###... ..###... ........"), value=200, labels=[7])
    result = pasted(below, above)
    targets = result.targets
    assert targets.labels.tolist() == [0, 2, 7]
    assert targets.boxes.tolist() == [[0, 0, 2, 3], [7, 0, 8, 3], [2, 0, 6, 5]]
    expected = bitmaps(
        "##...... ##...... ##...... ........ ........ ........",
        ".......# .......# .......# ........ ........ ........",
        "..####.. ..####.. ..####.. ..###... ..###... ........",
    )
    assert (masks_of(targets) == expected).all()
    assert masks_of(targets).sum(axis=(1, 2)).tolist() == [6, 3, 18]
    # The rest of the last object, and the crowds: in the corners of the first nothing hides it, nothing is left of the
    # second, and the right half of the third is hidden.
    assert targets.crowd_boxes.tolist() == [[5, 3, 6, 5], [0.5, 4.5, 8.0, 6.0], [0.0, 0.0, 2.0, 2.5]]
    assert (result.image == torch.where(torch.from_numpy(expected[2]) > 0, 200, 10)).all()
    assert (result.file_name, result.image_id, result.original_size) == ("10.png", 10, FRAME)


def test_what_was_given_is_left_alone() -> None:
    below, above = sample_of(rectangles((0, 0, 5, 5)), 10), sample_of(rectangles((2, 2, 6, 6)), 200)
    before = below.image.clone(), masks_of(below.targets), below.targets.boxes.clone()
    pasted(below, above)
    assert torch.equal(below.image, before[0]) and torch.equal(below.targets.boxes, before[2])
    assert (masks_of(below.targets) == before[1]).all()


def test_the_little_that_is_left_is_an_object() -> None:
    """A tenth."""
    below, above = sample_of(rectangles((0, 0, 8, 5)), 10), sample_of(rectangles((0, 0, 6, 5), (6, 0, 8, 3)), 200)
    targets = pasted(below, above).targets
    assert targets.labels.tolist() == [0, 0, 1] and targets.boxes[0].tolist() == [6, 3, 8, 5]
    assert targets.crowd_boxes.tolist() == []


def test_a_sliver_is_no_object() -> None:
    """A third is left of it, one pixel wide."""
    below, above = sample_of(rectangles((0, 0, 3, 6)), 10), sample_of(rectangles((0, 0, 2, 6)), 200, labels=[1])
    targets = pasted(below, above).targets
    assert targets.labels.tolist() == [1] and targets.crowd_boxes.tolist() == [[2, 0, 3, 6]]


def test_stated_boxes_of_whole_objects_are_kept() -> None:
    below = sample_of(rectangles((0, 0, 2, 2), (3, 3, 6, 6)), 10)
    stated = torch.tensor([[0.25, 0.0, 1.75, 2.0], [3.25, 3.0, 5.75, 6.0]])
    below = replace(below, targets=replace(below.targets, boxes=stated))
    targets = pasted(below, sample_of(rectangles((4, 3, 8, 6)), 200, labels=[5])).targets
    assert targets.boxes.tolist() == [[0.25, 0, 1.75, 2], [4, 3, 8, 6]], "of the second a sliver is left"


def test_objects_seen_inside_a_pasted_one_come_along() -> None:
    """A window of a pasted facade, a door of which half is seen, and one that reaches in with a third."""
    facade, window, door, far = (0, 0, 6, 4), (1, 1, 3, 3), (4, 1, 8, 3), (4, 2, 8, 5)
    crowds = torch.tensor([[2.0, 2.5, 8.0, 6.0], [6.0, 0.0, 8.0, 6.0]])
    above = sample_of(rectangles(facade, window, door, far), 200, crowd_boxes=crowds)
    below = sample_of(rectangles(frame=FRAME), 10)
    seed = next(s for s in range(200) if (np.random.default_rng(s).random(4) < 0.5).tolist() == [True] + [False] * 3)
    targets = pasted(below, above, replace(ALL, paste_fraction=0.5), seed).targets
    assert targets.labels.tolist() == [0, 1, 2]
    assert targets.boxes.tolist() == [[0, 0, 6, 4], [1, 1, 3, 3], [4, 1, 6, 3]]
    assert targets.crowd_boxes.tolist() == [[2, 2.5, 6, 4]], "so does a region to ignore"


def test_the_subset_is_drawn_object_by_object() -> None:
    above, below = sample_of(rectangles((0, 0, 2, 2), (3, 0, 5, 2), (6, 0, 8, 2)), 200), sample_of(rectangles(), 10)
    half = replace(ALL, paste_fraction=0.5)
    drawn = {tuple(pasted(below, above, half, seed).targets.labels.tolist()) for seed in range(60)}
    assert drawn == {(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)}
    assert pasted(below, above, replace(ALL, paste_fraction=0.0)) is below


def test_keypoints_under_a_pasted_object_are_hidden() -> None:
    """And those of the pasted object that its mask does not show; unlabelled ones stay so."""
    own = torch.tensor([[[1.0, 1.0, 2.0], [5.0, 2.0, 2.0], [5.5, 1.0, 1.0], [0.0, 0.0, 0.0]]])
    below = sample_of(rectangles((0, 0, 8, 4)), 10, keypoints=own)
    other = torch.tensor([[[4.5, 2.0, 2.0], [7.0, 5.0, 2.0], [8.0, 6.0, 2.0], [0.0, 0.0, 0.0]]])
    above = sample_of(rectangles((4, 0, 6, 4)), 200, labels=[1], keypoints=other)
    keypoints = pasted(below, above).targets.keypoints
    assert keypoints is not None
    assert keypoints[0].tolist() == [[1, 1, 2], [5, 2, 1], [5.5, 1, 1], [0, 0, 0]]
    assert keypoints[1].tolist() == [[4.5, 2, 2], [7, 5, 1], [8, 6, 1], [0, 0, 0]]


def test_keypoints_outside_the_frame_are_not_labelled() -> None:
    above = sample_of(rectangles((0, 0, 8, 6)), 200, keypoints=torch.tensor([[[1.0, 1.0, 2.0], [7.0, 5.0, 2.0]]]))
    below = sample_of(rectangles(frame=(3, 4)), 10, keypoints=torch.zeros(0, 2, 3))
    below = replace(below, targets=replace(below.targets, masks=PackedMasks.from_bitmaps(torch.zeros(0, 3, 4))))
    for seed in range(20):
        x, y = draw_shift(FRAME, (3, 4), rng_after_subset(seed))
        result = pasted(below, above, seed=seed)
        assert result.targets.keypoints is not None
        expected = [
            [px + x, py + y, 2.0] if 0 <= px + x <= 4 and 0 <= py + y <= 3 else [0.0, 0.0, 0.0]
            for px, py in ((1, 1), (7, 5))
        ]
        seen = result.targets.keypoints[0]
        assert seen[:, :2].tolist() == [place[:2] for place in expected]
        assert ((seen[:, 2] > 0) == torch.tensor([place[2] > 0 for place in expected])).all()


def rng_after_subset(seed: int, objects: int = 1) -> np.random.Generator:
    """As `paste` has it when it draws the place."""
    generator = np.random.default_rng(seed)
    generator.random(objects)
    return generator


def test_label_maps_are_pasted_too() -> None:
    below = sample_of(rectangles((0, 0, 4, 4)), 10, semantic=torch.full(FRAME, 1, dtype=torch.uint8))
    above = sample_of(rectangles((2, 2, 6, 6)), 200, semantic=torch.full(FRAME, 3, dtype=torch.uint8))
    semantic = pasted(below, above).targets.semantic
    assert semantic is not None
    expected = np.where(rectangles((2, 2, 6, 6))[0] > 0, 3, 1)
    assert semantic.dtype == torch.uint8 and (semantic.numpy() == expected).all()


def test_without_masks_nothing_is_pasted() -> None:
    whole = sample_of(rectangles((2, 2, 6, 6)), 200)
    boxes = replace(whole, targets=replace(whole.targets, masks=None))
    assert pasted(whole, boxes) is whole and pasted(boxes, whole) is boxes


@pytest.mark.parametrize("side", ["below", "above"])
def test_images_without_objects(side: str) -> None:
    empty, whole = sample_of(rectangles(), 10), sample_of(rectangles((2, 2, 6, 6)), 200)
    result = pasted(empty, whole) if side == "below" else pasted(whole, empty)
    assert result.targets.labels.tolist() == [0] and result.targets.boxes.tolist() == [[2, 2, 6, 6]]
    assert set(result.image.unique().tolist()) == ({10, 200} if side == "below" else {200})


def test_an_image_with_itself() -> None:
    """Equal sizes leave one place: all is hidden by its own copy."""
    image = sample_of(rectangles((0, 0, 3, 3), (4, 4, 7, 6)), 10)
    result = pasted(image, image)
    assert torch.equal(result.image, image.image) and torch.equal(result.targets.boxes, image.targets.boxes)


# --- where it lies ----------------------------------------------------------------------------------------------


def test_a_smaller_image_lies_inside_anywhere() -> None:
    drawn = {draw_shift((4, 5), (6, 8), np.random.default_rng(seed)) for seed in range(400)}
    assert drawn == {(x, y) for x in range(4) for y in range(3)}


def test_a_larger_image_covers_the_frame_anywhere() -> None:
    drawn = {draw_shift((7, 8), (6, 8), np.random.default_rng(seed)) for seed in range(50)}
    assert drawn == {(0, -1), (0, 0)}


# --- whatever the masks -----------------------------------------------------------------------------------------


def random_sample(generator: np.random.Generator, value: int) -> Sample:
    height, width, count = (int(v) for v in generator.integers((4, 4, 0), (20, 24, 7)))
    masks = np.zeros((count, height, width), np.uint8)
    for mask in masks:
        (y1, y2), (x1, x2) = (np.sort(generator.choice(side + 1, 2, replace=False)) for side in (height, width))
        mask[y1:y2, x1:x2] = generator.random((y2 - y1, x2 - x1)) < 0.8
    return sample_of(masks[masks.any(axis=(1, 2))], value)


@pytest.mark.parametrize("seed", range(40))
def test_every_pixel_belongs_to_the_image_it_shows(seed: int) -> None:
    """Against whole frames: masks of this image where it shows, of the other one where that does, and nowhere both."""
    generator = np.random.default_rng(seed)
    below, above = random_sample(generator, 10), random_sample(generator, 200)
    result = pasted(below, above, replace(ALL, paste_fraction=0.5), seed)
    targets, frame = result.targets, below.targets.masks.image_size  # type: ignore[union-attr]
    size = above.targets.masks.image_size  # type: ignore[union-attr]
    drawing = np.random.default_rng(seed)
    chosen = drawing.random(len(above.targets)) < 0.5
    x, y = draw_shift(size, frame, drawing)
    shifted = np.zeros((len(chosen), *frame), np.uint8)
    for row in range(frame[0]):
        for column in range(frame[1]):
            if 0 <= row - y < size[0] and 0 <= column - x < size[1]:
                shifted[:, row, column] = masks_of(above.targets)[:, row - y, column - x]
    patch = shifted[chosen].any(axis=0)
    assert ((result.image[0].numpy() == 200) == patch).all()
    seen = [*(masks_of(below.targets) * ~patch), *(shifted * patch)]
    areas = [int(mask.sum()) for mask in (*masks_of(below.targets), *masks_of(above.targets))]
    least = [0.0] * len(below.targets) + np.where(chosen, 0.0, 0.5).tolist()
    expected = [
        mask
        for mask, area, share in zip(seen, areas, least, strict=True)
        if mask.any() and mask.sum() >= share * area and (wide(mask) or mask.sum() == area)
    ]
    assert (masks_of(targets) == np.array(expected, np.uint8).reshape(-1, *frame)).all()
    tight = PackedMasks.from_bitmaps(torch.from_numpy(masks_of(targets)))
    assert torch.equal(targets.boxes, tight.windows.float())
    assert targets.masks is not None and torch.equal(targets.masks.windows, tight.windows)
    assert torch.equal(targets.masks.pixels, tight.pixels) and torch.equal(targets.masks.offsets, tight.offsets)


def wide(mask: np.ndarray) -> bool:
    ys, xs = np.nonzero(mask)
    return min(np.ptp(ys), np.ptp(xs)) >= 1


def test_nothing_hidden_changes_nothing() -> None:
    image = random_sample(np.random.default_rng(5), 10)
    seen = visible(image.targets, np.zeros(image.original_size, bool), np.ones(len(image.targets)))
    assert torch.equal(seen.boxes, image.targets.boxes) and (masks_of(seen) == masks_of(image.targets)).all()


def test_all_hidden_leaves_nothing() -> None:
    crowd = torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    image = sample_of(rectangles((0, 0, 3, 3)), 10, crowd_boxes=crowd)
    seen = visible(image.targets, np.ones(FRAME, bool), np.zeros(1))
    assert len(seen) == 0 and len(seen.crowd_boxes) == 0
