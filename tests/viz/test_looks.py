from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.structures import MaskCrops
from maskrcnn.viz.drawing import Drawing
from maskrcnn.viz.looks import DASH, Look, Sign, dashes, sign_lines
from maskrcnn.viz.overlay import draw_overlay

SQUARE = np.array([[[0, 0]], [[100, 0]], [[100, 100]], [[0, 100]]])


def test_dashes_follow_the_line_and_leave_gaps() -> None:
    pieces = dashes(SQUARE, 10)
    assert len(pieces) == 40 and all(piece.shape == (8, 1, 2) for piece in pieces)
    points = np.concatenate(pieces)[:, 0]
    on_side = np.isin(points, (0, 100)).any(axis=1)
    assert on_side.all()
    assert [piece[0, 0].tolist() for piece in pieces[:2]] == [[0, 0], [10, 0]] and pieces[0][-1, 0].tolist() == [5, 0]


@pytest.mark.parametrize("contour", [SQUARE[:1], SQUARE[:2] // 50])
def test_dashes_of_next_to_nothing(contour: np.ndarray) -> None:
    assert len(dashes(contour, 10)) == 4


def test_signs_stay_in_the_middle() -> None:
    assert sign_lines(Sign.NONE, (0, 0, 100, 100), 9) == []
    cross = np.array(sign_lines(Sign.CROSS, (0, 0, 100, 40), 9))
    assert cross.mean(axis=(0, 1)).tolist() == [50, 20] and np.abs(cross - [50, 20]).max() == 9
    assert np.abs(np.array(sign_lines(Sign.BARS, (0, 0, 20, 40), 9)) - [10, 20]).max() == 5


def picture_of(look: Look, masked: bool) -> np.ndarray:
    masks = MaskCrops.from_crops([np.ones((300, 300))], [(200, 300, 500, 600)], (900, 1000))
    boxes, label = np.array([[200.0, 300, 500, 600]]), np.array([0])
    image = np.full((900, 1000, 3), 90, np.uint8)
    drawing = Drawing(("masks",) if masked else ("boxes",))
    return draw_overlay(image, masks, boxes, label, None, ("a",), drawing=drawing, looks=[look])


@pytest.mark.parametrize("masked", [True, False])
def test_a_dashed_outline_has_gaps_in_the_colour_given(masked: bool) -> None:
    """And nothing inside."""
    picture = picture_of(Look((10, 250, 30), dashed=True, filled=False), masked)
    on_line = (np.abs(picture[300:600, 200].astype(int) - (10, 250, 30)) < 60).all(axis=1)
    assert DASH < on_line.mean() < 0.8, "round ends make dashes longer"
    assert (picture[350:550, 250:450] == 90).all()


def test_a_sign_is_white_and_stands_in_the_middle() -> None:
    picture = picture_of(Look((10, 250, 30), sign=Sign.CROSS), masked=True)
    assert (picture[450, 350] == 255).all() and not (picture[450, 380] == 255).all()
